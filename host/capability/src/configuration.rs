//! `auricle:runtime/configuration`: the settings of the deployment.

use crate::bindings::imports::auricle::runtime::configuration::Host;
use crate::state::GuestState;

impl Host for GuestState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.configuration.get(&key).cloned())
    }
}
