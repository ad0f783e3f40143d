//! Device time of a request's work, charged to its tenant's account.

use std::sync::Arc;
use std::time::Duration;

use auricle_capability::RequestScope;
use auricle_inference::DeviceMeter;
use auricle_tenancy::Account;

#[derive(Debug)]
struct AccountMeter(Arc<Account>);

impl DeviceMeter for AccountMeter {
    fn charge(&self, time: Duration) {
        self.0.use_device(time);
    }
}

/// The meter of all jobs of a request, those on copies of it included.
pub(crate) fn meter(scope: &RequestScope) -> Arc<dyn DeviceMeter> {
    Arc::new(AccountMeter(Arc::clone(&scope.account)))
}
