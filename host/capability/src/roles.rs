//! Components linked and checked against the world of their role.
//!
//! Linking is the admission check: a component whose imports are not all there, or whose exports are
//! not those of its role, is refused before anything runs. Each role links only what its world
//! names, and `wasi:nn` beside it for a deployment that is granted graphs.

use auricle_runtime::{Runtime, RuntimeError};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::bindings::imports::auricle;
use crate::bindings::{assigner, chunker, live};
use crate::nn;
use crate::state::GuestState;

/// The bytes of a component and their digest.
pub struct ComponentFile<'a> {
    bytes: &'a [u8],
    graphs: bool,
}

impl<'a> ComponentFile<'a> {
    /// Takes the bytes of a `.wasm` file.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            graphs: false,
        }
    }

    /// Whether its deployment is granted graphs, so that it may import `wasi:nn`.
    #[must_use]
    pub fn with_graphs(mut self, granted: bool) -> Self {
        self.graphs = granted;
        self
    }

    /// Lower-case hexadecimal SHA-256.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// A component in the role of handler.
pub struct HandlerComponent {
    pub(crate) http: ProxyPre<GuestState>,
    /// There when the component exports the WebSocket handler.
    pub(crate) live: Option<live::LiveHandlerPre<GuestState>>,
}

impl HandlerComponent {
    /// Whether the component serves WebSockets.
    #[must_use]
    pub fn serves_websockets(&self) -> bool {
        self.live.is_some()
    }
}

/// A component in the role of chunker.
pub struct ChunkerComponent(pub(crate) chunker::ChunkerRolePre<GuestState>);

/// A component in the role of speaker-assigner.
pub struct AssignerComponent(pub(crate) assigner::SpeakerAssignerRolePre<GuestState>);

/// Links components into their roles.
pub struct Roles {
    handler: RoleLinker,
    chunker: RoleLinker,
    assigner: RoleLinker,
}

/// What one role links, without graphs and with them.
struct RoleLinker {
    /// The role's name in the configuration.
    role: &'static str,
    plain: Linker<GuestState>,
    with_graphs: Linker<GuestState>,
}

impl RoleLinker {
    fn new(role: &'static str, plain: Linker<GuestState>) -> Result<Self, RuntimeError> {
        let mut with_graphs = plain.clone();
        nn::link(&mut with_graphs).map_err(RuntimeError::Engine)?;
        Ok(Self {
            role,
            plain,
            with_graphs,
        })
    }

    /// The linker for a component, unless it imports what it is not granted.
    fn of(
        &self,
        component: &Component,
        file: &ComponentFile<'_>,
    ) -> Result<&Linker<GuestState>, RuntimeError> {
        if file.graphs {
            return Ok(&self.with_graphs);
        }
        let wanted = component.component_type();
        let mut imports = wanted.imports(component.engine());
        match imports.find(|(name, _)| name.starts_with(nn::IMPORT_PREFIX)) {
            Some((import, _)) => Err(RuntimeError::NotGranted {
                role: self.role,
                import: import.to_owned(),
            }),
            None => Ok(&self.plain),
        }
    }
}

impl Roles {
    /// The linkers of all roles.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`] when an interface cannot be defined, a fault of this program.
    pub fn new(runtime: &Runtime) -> Result<Self, RuntimeError> {
        let linker = || Linker::<GuestState>::new(runtime.engine());
        let (mut handler, mut chunker, mut assigner) = (linker(), linker(), linker());
        link_handler(&mut handler).map_err(RuntimeError::Engine)?;
        link_common(&mut chunker)
            .and_then(|()| link_sound(&mut chunker))
            .and_then(|()| link_chunking(&mut chunker))
            .map_err(RuntimeError::Engine)?;
        link_common(&mut assigner).map_err(RuntimeError::Engine)?;
        Ok(Self {
            handler: RoleLinker::new("handler", handler)?,
            chunker: RoleLinker::new("chunker", chunker)?,
            assigner: RoleLinker::new("speaker_assigner", assigner)?,
        })
    }

    /// Compiles and links a handler. Blocking.
    ///
    /// # Errors
    /// As [`Runtime::component`]; [`RuntimeError::WrongWorld`], [`RuntimeError::NotGranted`].
    pub fn handler(
        &self,
        runtime: &Runtime,
        file: &ComponentFile<'_>,
    ) -> Result<HandlerComponent, RuntimeError> {
        let component = runtime.component(file.bytes)?;
        let wrong = wrong_world("handler");
        let linked = self
            .handler
            .of(&component, file)?
            .instantiate_pre(&component)
            .map_err(&wrong)?;
        let http = ProxyPre::new(linked.clone()).map_err(&wrong)?;
        Ok(HandlerComponent {
            http,
            live: live::LiveHandlerPre::new(linked).ok(),
        })
    }

    /// Compiles and links a chunker. Blocking.
    ///
    /// # Errors
    /// As [`Roles::handler`].
    pub fn chunker(
        &self,
        runtime: &Runtime,
        file: &ComponentFile<'_>,
    ) -> Result<ChunkerComponent, RuntimeError> {
        let component: Component = runtime.component(file.bytes)?;
        let wrong = wrong_world("chunker");
        let linked = self
            .chunker
            .of(&component, file)?
            .instantiate_pre(&component)
            .map_err(&wrong)?;
        Ok(ChunkerComponent(
            chunker::ChunkerRolePre::new(linked).map_err(&wrong)?,
        ))
    }

    /// Compiles and links a speaker-assigner. Blocking.
    ///
    /// # Errors
    /// As [`Roles::handler`].
    pub fn assigner(
        &self,
        runtime: &Runtime,
        file: &ComponentFile<'_>,
    ) -> Result<AssignerComponent, RuntimeError> {
        let component: Component = runtime.component(file.bytes)?;
        let wrong = wrong_world("speaker-assigner");
        let linked = self
            .assigner
            .of(&component, file)?
            .instantiate_pre(&component)
            .map_err(&wrong)?;
        Ok(AssignerComponent(
            assigner::SpeakerAssignerRolePre::new(linked).map_err(&wrong)?,
        ))
    }
}

fn wrong_world(role: &'static str) -> impl Fn(wasmtime::Error) -> RuntimeError {
    move |error| RuntimeError::WrongWorld {
        role,
        detail: format!("{error:#}"),
    }
}

fn link_common(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    auricle::runtime::log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::runtime::configuration::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::audio::types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::speech::types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// Clips, and where somebody speaks in them.
fn link_sound(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    auricle::audio::clips::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::speech::voice_activity::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// What the client wants of a chunker.
fn link_chunking(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    chunker::auricle::pipeline::chunking::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

fn link_handler(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    // Clocks, randomness, streams and closed standard streams; then HTTP. Neither files, sockets
    // nor variables.
    wasmtime_wasi_http::p2::add_to_linker_async(linker)?;
    link_common(linker)?;
    link_sound(linker)?;
    auricle::audio::decoding::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::audio::recording::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::speech::recognition::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::speech::diarization::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::http::multipart::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::http::websocket::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::pipeline::transcriber::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}
