//! The command line of ffmpeg, and of the small programs that take its rights away.
//!
//! They stand in front of it and become it, one by one: `prlimit` sets limits, `setpriv` gives up
//! rights (and root's name), `unshare` takes the network away where the system lets it. Their own
//! calls would need code between fork and exec, which Rust cannot make safe.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ConverterConfig, ConverterError};

/// Containers that are read: what people have, and nothing that names other files.
const FORMATS: &str = "avi,asf,flv,mpegts,mpeg,mov,mp4,m4a,3gp,matroska,webm,ogg,ac3,eac3,dts,truehd,amr,\
     amrnb,amrwb,wv,ape,tta,mpc,mpc8,au,aac,mp3,wav,w64,caf,aiff,voc,gsm";

/// Codecs that are read, all of sound.
const CODECS: &str = "ac3,eac3,dca,mlp,truehd,wmav1,wmav2,wmapro,wmalossless,wmavoice,amrnb,amrwb,\
     libopencore_amrnb,libopencore_amrwb,aac,aac_latm,mp1float,mp2float,mp3float,mp1,mp2,mp3,flac,alac,\
     vorbis,opus,libopus,speex,libspeex,gsm,gsm_ms,libgsm,libgsm_ms,wavpack,ape,tta,mpc7,mpc8,nellymoser,\
     adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_swf,adpcm_yamaha,adpcm_g726,g722,adpcm_g722,\
     pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,\
     pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd";

/// Bytes that ffmpeg may ask for at once.
const MAX_ALLOCATION_BYTES: u64 = 64 << 20;

/// Open files of a process: its pipes, and libraries one by one as it starts.
const MAX_FILES: u64 = 64;

/// Who root becomes: nobody, as Debian numbers it.
const NOBODY: u32 = 65_534;

/// A command with its limits, ready to be run.
pub(super) struct Sandboxed {
    /// Programs and arguments up to ffmpeg, the first one first.
    words: Vec<OsString>,
}

impl Sandboxed {
    /// Finds the programs and tries them out: with a network of its own, which is none, else without.
    pub(super) fn find(config: &ConverterConfig) -> Result<Self, ConverterError> {
        let ffmpeg = find(config.program.as_os_str(), "ffmpeg")?;
        let tool = |name| find(OsStr::new(name), "util-linux");
        let mut words = limits(&tool("prlimit")?, config);
        words.extend(rights(&tool("setpriv")?));
        let alone = Self {
            words: [
                words.clone(),
                vec![tool("unshare")?],
                strings(&["--user", "--map-current-user", "--net", "--"]),
                vec![ffmpeg.clone()],
            ]
            .concat(),
        };
        if alone.runs().is_ok() {
            return Ok(alone);
        }
        tracing::warn!(
            "this system lets no process without rights give up its network: ffmpeg runs without \
             a network of its own, and knows no protocol but pipes"
        );
        words.push(ffmpeg);
        let plain = Self { words };
        match plain.runs() {
            Ok(()) => Ok(plain),
            Err(reason) => Err(ConverterError::DoesNotRun {
                program: config.program.display().to_string(),
                reason,
            }),
        }
    }

    /// Whether ffmpeg starts.
    fn runs(&self) -> Result<(), String> {
        let mut command = self.bare();
        command.arg("-version").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn bare(&self) -> Command {
        let mut words = self.words.iter();
        let mut command = Command::new(
            words
                .next()
                .map_or(OsStr::new("prlimit"), OsString::as_os_str),
        );
        command.args(words).env_clear().current_dir("/");
        command
    }

    /// Reads a file from its input and writes WAV to its output, `max_secs` of it at most.
    pub(super) fn command(&self, max_secs: u64) -> Command {
        let mut command = self.bare();
        command
            .args(["-nostdin", "-hide_banner", "-loglevel", "quiet"])
            .args(["-max_alloc", &MAX_ALLOCATION_BYTES.to_string()])
            .args(["-protocol_whitelist", "pipe"])
            .args(["-format_whitelist", FORMATS, "-codec_whitelist", CODECS])
            .args([
                "-max_streams",
                "8",
                "-probesize",
                "1M",
                "-analyzeduration",
                "5M",
            ])
            .args(["-threads", "1", "-i", "pipe:0"])
            .args(["-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"])
            .args(["-t", &max_secs.to_string(), "-threads", "1"])
            .args(["-c:a", "pcm_s16le", "-f", "wav", "pipe:1"]);
        command
    }
}

fn limits(prlimit: &OsStr, config: &ConverterConfig) -> Vec<OsString> {
    let limits = [
        format!("--as={}", config.max_memory_bytes),
        format!("--cpu={}", config.max_cpu.as_secs().max(1)),
        format!("--nofile={MAX_FILES}"),
        "--fsize=0".to_owned(),
        "--core=0".to_owned(),
        "--".to_owned(),
    ];
    let mut words = vec![prlimit.to_owned()];
    words.extend(limits.map(OsString::from));
    words
}

fn rights(setpriv: &OsStr) -> Vec<OsString> {
    let mut words = vec![setpriv.to_owned()];
    words.extend(strings(&["--no-new-privs", "--inh-caps=-all"]));
    if rustix::process::geteuid().is_root() {
        let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        words.extend(user.map(OsString::from));
        words.extend(strings(&["--clear-groups", "--bounding-set=-all"]));
    }
    words.push("--".into());
    words
}

fn strings(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// The absolute path of a program, which needs no variable to be found again.
fn find(program: &OsStr, package: &'static str) -> Result<OsString, ConverterError> {
    let found = match Path::new(program).components().count() {
        1 => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
            let standard = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(program));
            candidates.chain(standard).find(|it| it.is_file())
        }
        _ => std::fs::canonicalize(PathBuf::from(program)).ok(),
    };
    found
        .map(PathBuf::into_os_string)
        .ok_or_else(|| ConverterError::Missing {
            program: program.display().to_string(),
            package,
        })
}
