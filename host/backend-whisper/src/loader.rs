//! Verifies and loads models.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use auricle_speech::{Engine, EngineError, EngineLoader, EngineSession, Language, ModelFiles};
use sha2::{Digest, Sha256};
use whisper_rs::{DtwParameters, WhisperContext, WhisperContextParameters};

use crate::header::{HEADER_BYTES, Header};
use crate::prompt::Prompts;
use crate::session::WhisperSession;
use crate::{abort, encoder, log, matmul};

/// Bytes read at a time while hashing.
const READ_BYTES: usize = 1 << 20;

/// Memory that whisper.cpp takes, while it computes word times, for the attention of all alignment
/// heads and its copies. Its default of 128 MiB is too small for `small.en` (19 heads) with a full
/// window, and ggml aborts when it is. Only what is used is ever touched.
const WORD_TIMES_BYTES: usize = 1 << 30;

/// Loads ggml model files.
#[derive(Clone, Copy, Debug, Default)]
pub struct WhisperLoader;

impl EngineLoader for WhisperLoader {
    fn load(&self, files: &ModelFiles) -> Result<Arc<dyn Engine>, EngineError> {
        let (header, bytes) = verify(files).map_err(|what| {
            EngineError::Model(format!(
                "cannot use {} as model '{}': {what}",
                files.path.display(),
                files.name
            ))
        })?;
        log::install();
        abort::install();
        matmul::install();
        encoder::install();
        one_blas_thread();
        let context = WhisperContext::new_with_params(&files.path, parameters(files, header))
            .map_err(|error| {
                EngineError::Model(format!(
                    "whisper.cpp cannot load {} as model '{}': {error}; the log has its reason",
                    files.path.display(),
                    files.name
                ))
            })?;
        let model = Arc::new(Model::new(context, header, files.word_timestamps));
        Ok(Arc::new(WhisperEngine { model, bytes }))
    }
}

/// How whisper.cpp sets the model up.
fn parameters(files: &ModelFiles, header: Header) -> WhisperContextParameters<'static> {
    let mut parameters = WhisperContextParameters::new();
    parameters.use_gpu(cfg!(feature = "cuda"));
    parameters.flash_attn(FUSED_ATTENTION && !files.word_timestamps);
    if files.word_timestamps {
        parameters.dtw_parameters(DtwParameters {
            mode: header.alignment_heads(&files.name),
            dtw_mem_size: WORD_TIMES_BYTES,
        });
    }
    parameters
}

/// Whether engines without word times use ggml's fused attention: on a GPU only, a CPU is slower
/// with it.
pub(crate) const FUSED_ATTENTION: bool = cfg!(feature = "cuda");

/// Checks the file before whisper.cpp sees it. Returns its header and length.
fn verify(files: &ModelFiles) -> Result<(Header, u64), String> {
    let (head, digest, bytes) = read(&files.path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no such file; fetch it with 'auricle models pull {}'",
            files.name
        ),
        _ => format!("it cannot be read: {error}"),
    })?;
    let again = format!("fetch it again with 'auricle models pull {}'", files.name);
    let header = Header::parse(&head).map_err(|what| format!("{what}; {again}"))?;
    if digest != files.sha256 {
        return Err(format!(
            "its SHA-256 is {digest} and not {} ({bytes} bytes: cut off, or another version); \
             {again}",
            files.sha256
        ));
    }
    Ok((header, bytes))
}

/// First bytes, SHA-256 and length of a file.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, String, u64)> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_BYTES]);
    let (mut head, mut bytes) = (Vec::new(), 0_u64);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        let missing = HEADER_BYTES.saturating_sub(head.len()).min(read);
        head.extend_from_slice(chunk.get(..missing).unwrap_or_default());
        hasher.update(chunk);
        bytes += read as u64;
    }
    Ok((head, hex::encode(hasher.finalize()), bytes))
}

/// Tells OpenBLAS to compute on the calling thread. Its own threads would fight over the cores
/// that the sessions already use; whoever starts the process need not set an environment variable.
#[allow(unsafe_code, reason = "a C function of OpenBLAS")]
fn one_blas_thread() {
    unsafe extern "C" {
        fn openblas_set_num_threads(threads: std::ffi::c_int);
    }
    // SAFETY: takes a number, may be called at any time.
    unsafe { openblas_set_num_threads(1) }
}

/// Weights with what sessions need to know about them.
pub(crate) struct Model {
    pub(crate) context: WhisperContext,
    pub(crate) header: Header,
    /// Whether the context was set up for word times.
    pub(crate) word_times: bool,
    /// Positions of the encoder's output for 30 s.
    pub(crate) audio_positions: usize,
    /// First tokens of musical notes, never wanted in a transcript.
    pub(crate) notes: Vec<i32>,
    pub(crate) prompts: Prompts,
}

impl Model {
    fn new(context: WhisperContext, header: Header, word_times: bool) -> Self {
        // openai-whisper suppresses the first token of each of these, even where that token
        // begins other characters too; whisper.cpp suppresses only notes that are one token.
        let notes = ["♩", "♪", "♫", "♬", "♭", "♮", "♯"]
            .iter()
            .filter_map(|note| context.tokenize(note, 8).ok()?.first().copied())
            .collect();
        Self {
            audio_positions: usize::try_from(context.n_audio_ctx()).unwrap_or_default(),
            context,
            header,
            word_times,
            notes,
            prompts: Prompts::default(),
        }
    }
}

/// A loaded model.
pub struct WhisperEngine {
    model: Arc<Model>,
    bytes: u64,
}

impl Engine for WhisperEngine {
    fn is_multilingual(&self) -> bool {
        self.model.header.is_multilingual()
    }

    fn knows(&self, language: Language) -> bool {
        language.index() < self.model.header.languages()
    }

    fn memory_bytes(&self) -> u64 {
        self.bytes
    }

    fn open_session(&self) -> Result<Box<dyn EngineSession>, EngineError> {
        Ok(Box::new(WhisperSession::open(Arc::clone(&self.model))?))
    }
}

impl std::fmt::Debug for WhisperEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WhisperEngine")
            .field("header", &self.model.header)
            .field("word_times", &self.model.word_times)
            .finish()
    }
}
