//! Components linked and checked against the world of their role.
//!
//! Linking is the admission check: a component whose imports are not all there, or whose exports are
//! not those of its role, is refused before anything runs. Each role links only what its world
//! names, and `wasi:nn` beside it for a deployment that is granted graphs.

use auricle_runtime::{Misfit, Origin, Payer, Runtime, RuntimeError};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::bindings::imports::auricle;
use crate::bindings::{assigner, chunker, decoder, live, v0_1 as old};
use crate::state::GuestState;
use crate::{nn, v0_1};

/// The bytes of a component and their digest.
#[derive(Clone, Copy)]
pub struct ComponentFile<'a> {
    bytes: &'a [u8],
    graphs: bool,
    origin: Origin<'a>,
}

impl<'a> ComponentFile<'a> {
    /// Takes the bytes of a `.wasm` file.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            graphs: false,
            origin: Origin::Own,
        }
    }

    /// The bytes are a tenant's: untrusted, and compiled on its account.
    #[must_use]
    pub fn of_tenant(mut self, payer: &'a Payer) -> Self {
        self.origin = Origin::Tenant(payer);
        self
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
        hex::encode(Sha256::digest(self.bytes))
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

/// A component by the version of `auricle:pipeline` whose export it has.
pub(crate) enum Versioned<New, Old> {
    /// The current version.
    Current(New),
    /// Version 0.1.0.
    V0_1(Old),
}

impl<New, Old> Versioned<New, Old> {
    /// Fits a linked component to the current world, else to the old one; the error is about the
    /// current one.
    fn fit(
        linked: &InstancePre<GuestState>,
        new: impl FnOnce(InstancePre<GuestState>) -> wasmtime::Result<New>,
        old: impl FnOnce(InstancePre<GuestState>) -> wasmtime::Result<Old>,
    ) -> wasmtime::Result<Self> {
        new(linked.clone()).map(Self::Current).or_else(|error| {
            let fitted = old(linked.clone()).map_err(|_| error)?;
            Ok(Self::V0_1(fitted))
        })
    }
}

type ChunkerPre =
    Versioned<chunker::ChunkerRolePre<GuestState>, old::chunker::ChunkerRolePre<GuestState>>;
type AssignerPre = Versioned<
    assigner::SpeakerAssignerRolePre<GuestState>,
    old::assigner::SpeakerAssignerRolePre<GuestState>,
>;
type DecoderPre =
    Versioned<decoder::DecoderRolePre<GuestState>, old::decoder::DecoderRolePre<GuestState>>;

/// A component in the role of chunker.
pub struct ChunkerComponent(pub(crate) ChunkerPre);

/// A component in the role of speaker-assigner.
pub struct AssignerComponent(pub(crate) AssignerPre);

/// A component in the role of decoder.
pub struct DecoderComponent(pub(crate) DecoderPre);

/// Links components into their roles.
pub struct Roles {
    handler: RoleLinker,
    chunker: RoleLinker,
    assigner: RoleLinker,
    decoder: RoleLinker,
}

/// What every role but the handler may import: `auricle:audio/types` and `auricle:speech/types` among
/// them.
const COMMON_IMPORTS: [&str; 3] = [
    "auricle:runtime/",
    "auricle:audio/types",
    "auricle:speech/types",
];

/// What one role links, without graphs and with them.
struct RoleLinker {
    /// The role's name in the configuration.
    role: &'static str,
    /// The role's name.
    name: &'static str,
    /// What it must export, and what its world lets it import; beginnings of names. Only for
    /// telling what does not fit: the linkers decide.
    exports: &'static [&'static str],
    imports: &'static [&'static str],
    plain: Linker<GuestState>,
    with_graphs: Linker<GuestState>,
}

impl RoleLinker {
    fn new(
        [role, name]: [&'static str; 2],
        exports: &'static [&'static str],
        imports: &'static [&'static str],
        plain: Linker<GuestState>,
    ) -> Result<Self, RuntimeError> {
        let mut with_graphs = plain.clone();
        nn::link(&mut with_graphs).map_err(RuntimeError::Engine)?;
        Ok(Self {
            role,
            name,
            exports,
            imports,
            plain,
            with_graphs,
        })
    }

    /// Compiles a component and links it, unless it imports what it is not granted or has not.
    fn link(
        &self,
        runtime: &Runtime,
        file: &ComponentFile<'_>,
    ) -> Result<InstancePre<GuestState>, RuntimeError> {
        let component = runtime.component(file.bytes, file.origin)?;
        let linker = match (file.graphs, self.wants_graphs(&component)) {
            (true, _) => &self.with_graphs,
            (false, None) => &self.plain,
            (false, Some(import)) => {
                return Err(RuntimeError::NotGranted {
                    role: self.role,
                    import,
                });
            }
        };
        linker
            .instantiate_pre(&component)
            .map_err(|error| self.misfit(&component, &error))
    }

    /// The import that only a grant of graphs satisfies, where there is one.
    fn wants_graphs(&self, component: &Component) -> Option<String> {
        let wanted = component.component_type();
        let mut imports = wanted.imports(component.engine());
        let import = imports.find(|(name, _)| name.starts_with(nn::IMPORT_PREFIX))?;
        Some(import.0.to_owned())
    }

    /// Why the component does not fit, in the names of interfaces.
    fn misfit(&self, component: &Component, error: &wasmtime::Error) -> RuntimeError {
        let (engine, shape) = (component.engine(), component.component_type());
        let exported: Vec<&str> = shape.exports(engine).map(|(name, _)| name).collect();
        let exports = |wanted: &&&str| exported.iter().any(|name| name.starts_with(**wanted));
        let missing = self.exports.iter().filter(|wanted| !exports(wanted));
        let knows = |import: &str| {
            let known = |known: &&str| import.starts_with(*known);
            self.imports.iter().any(known) || import.starts_with(nn::IMPORT_PREFIX)
        };
        let extra = shape.imports(engine).map(|(name, _)| name.to_owned());
        RuntimeError::WrongWorld {
            role: self.name,
            misfit: Misfit {
                missing: missing.map(|name| (*name).to_owned()).collect(),
                extra: extra.filter(|import| !knows(import)).collect(),
                detail: format!("{error:#}"),
            },
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
        let mut decoder = linker();
        link_common(&mut decoder)
            .and_then(|()| link_file(&mut decoder))
            .map_err(RuntimeError::Engine)?;
        Ok(Self {
            handler: RoleLinker::new(
                ["handler"; 2],
                &["wasi:http/incoming-handler"],
                &[
                    "auricle:",
                    "wasi:http/",
                    "wasi:io/",
                    "wasi:clocks/",
                    "wasi:random/",
                    "wasi:cli/std",
                ],
                handler,
            )?,
            chunker: RoleLinker::new(
                ["chunker"; 2],
                &["auricle:pipeline/chunker"],
                &[
                    COMMON_IMPORTS[0],
                    COMMON_IMPORTS[1],
                    COMMON_IMPORTS[2],
                    "auricle:audio/clips",
                    "auricle:speech/voice-activity",
                    "auricle:pipeline/chunking",
                ],
                chunker,
            )?,
            assigner: RoleLinker::new(
                ["speaker_assigner", "speaker-assigner"],
                &["auricle:pipeline/speaker-assigner"],
                &COMMON_IMPORTS,
                assigner,
            )?,
            decoder: RoleLinker::new(
                ["decoder"; 2],
                &["auricle:pipeline/decoder"],
                &[
                    COMMON_IMPORTS[0],
                    COMMON_IMPORTS[1],
                    COMMON_IMPORTS[2],
                    "auricle:audio/source",
                    "auricle:audio/samples",
                ],
                decoder,
            )?,
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
        let linked = self.handler.link(runtime, file)?;
        let wrong = |error| self.handler.misfit(linked.component(), &error);
        let http = ProxyPre::new(linked.clone()).map_err(wrong)?;
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
        let linked = self.chunker.link(runtime, file)?;
        let wrong = |error| self.chunker.misfit(linked.component(), &error);
        let (new, old) = (
            chunker::ChunkerRolePre::new,
            old::chunker::ChunkerRolePre::new,
        );
        let fitted = Versioned::fit(&linked, new, old).map_err(wrong)?;
        Ok(ChunkerComponent(fitted))
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
        let linked = self.assigner.link(runtime, file)?;
        let wrong = |error| self.assigner.misfit(linked.component(), &error);
        let new = assigner::SpeakerAssignerRolePre::new;
        let old = old::assigner::SpeakerAssignerRolePre::new;
        let fitted = Versioned::fit(&linked, new, old).map_err(wrong)?;
        Ok(AssignerComponent(fitted))
    }

    /// Compiles and links a decoder. Blocking.
    ///
    /// # Errors
    /// As [`Roles::handler`].
    pub fn decoder(
        &self,
        runtime: &Runtime,
        file: &ComponentFile<'_>,
    ) -> Result<DecoderComponent, RuntimeError> {
        let linked = self.decoder.link(runtime, file)?;
        let wrong = |error| self.decoder.misfit(linked.component(), &error);
        let (new, old) = (
            decoder::DecoderRolePre::new,
            old::decoder::DecoderRolePre::new,
        );
        let fitted = Versioned::fit(&linked, new, old).map_err(wrong)?;
        Ok(DecoderComponent(fitted))
    }
}

fn link_common(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    auricle::runtime::log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::runtime::configuration::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::audio::types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    v0_1::link_types(linker)?;
    auricle::speech::types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// Clips, and where somebody speaks in them.
fn link_sound(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    auricle::audio::clips::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    v0_1::link_voice(linker)?;
    auricle::speech::voice_activity::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// What the client wants of a chunker.
fn link_chunking(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    v0_1::link_chunking(linker)?;
    chunker::auricle::pipeline::chunking::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// The file that a decoder reads, and where its samples go.
fn link_file(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    decoder::auricle::audio::source::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    decoder::auricle::audio::samples::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

fn link_handler(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    // Clocks, randomness, streams and closed standard streams; then HTTP. Neither files, sockets
    // nor variables.
    wasmtime_wasi_http::p2::add_to_linker_async(linker)?;
    link_common(linker)?;
    link_sound(linker)?;
    v0_1::link_handler(linker)?;
    auricle::audio::decoding::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::audio::recording::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::speech::recognition::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::speech::diarization::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::http::multipart::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::http::websocket::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::pipeline::transcriber::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}
