//! The command line of ffmpeg, behind the program that takes its rights away ([`confine`](super::confine)).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::confine::{UNENCLOSED, VERB};
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

/// A command with its limits, ready to be run.
pub(super) struct Confined {
    /// This program.
    launcher: PathBuf,
    /// Its arguments up to ffmpeg, which is the last.
    words: Vec<OsString>,
}

impl Confined {
    /// Finds ffmpeg and tries it out.
    pub(super) fn find(config: &ConverterConfig) -> Result<Self, ConverterError> {
        let ffmpeg = find(config.program.as_os_str())?;
        let confined = Self {
            launcher: config.launcher.clone(),
            words: vec![
                VERB.into(),
                config.max_memory_bytes.to_string().into(),
                config.max_cpu.as_secs().max(1).to_string().into(),
                ffmpeg,
            ],
        };
        match confined.runs() {
            Ok(()) => Ok(confined),
            Err(reason) => Err(ConverterError::DoesNotRun {
                program: config.program.display().to_string(),
                reason,
            }),
        }
    }

    /// Whether ffmpeg starts, else why not.
    fn runs(&self) -> Result<(), String> {
        let mut command = self.bare();
        command.arg("-version").stdin(Stdio::null());
        let output = command.output().map_err(|error| error.to_string())?;
        let words = String::from_utf8_lossy(&output.stderr);
        match (output.status.success(), words.lines().next()) {
            (true, Some(UNENCLOSED)) => {
                tracing::warn!("{UNENCLOSED}: ffmpeg can read files that everybody can read");
                Ok(())
            }
            (true, _) => Ok(()),
            (false, Some(first)) => Err(first.to_owned()),
            (false, None) => Err(output.status.to_string()),
        }
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(&self.launcher);
        command.args(&self.words).env_clear().current_dir("/");
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

/// The absolute path of a program, which needs no variable to be found again.
fn find(program: &OsStr) -> Result<OsString, ConverterError> {
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
        })
}
