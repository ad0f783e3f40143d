//! A file kept whole, for a decoder that seeks.
//!
//! Small files stay in memory, larger ones go to an unlinked file in the spool directory, which the
//! system removes with the process. Both are reserved in the node's ledger before they are written.
//! It blocks: a decoder runs on a thread of its own.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use auricle_speech::ReserveError;
use auricle_tenancy::{Account, HeldKind, Reservation};

use super::file::FileFailure;
use crate::source::SourceFailure;

/// Below this a spooled file stays in memory; most voice notes are smaller.
const MEMORY_BYTES: usize = 4 << 20;

/// What a spool in memory grows by.
const MEMORY_STEP_BYTES: usize = 256 << 10;

/// What a spool on disk is reserved in.
const DISK_STEP_BYTES: u64 = 4 << 20;

/// Where and for whom files are spooled, and how much of one.
#[derive(Clone, Debug)]
pub(crate) struct SpoolConfig {
    /// Pays for it.
    pub(crate) account: Arc<Account>,
    /// Directory of spools on disk.
    pub(crate) dir: Arc<PathBuf>,
    /// Largest file, in bytes.
    pub(crate) max_bytes: u64,
}

/// A spooled file, read and written at one position.
pub(super) struct Spool {
    config: SpoolConfig,
    content: Content,
    length: u64,
}

enum Content {
    Memory {
        bytes: Vec<u8>,
        position: usize,
        held: Reservation,
    },
    File {
        file: std::fs::File,
        held: Reservation,
    },
}

impl Spool {
    pub(super) fn new(config: SpoolConfig) -> Self {
        let held = config.account.reservation(HeldKind::Spool);
        Self {
            config,
            content: Content::Memory {
                bytes: Vec::new(),
                position: 0,
                held,
            },
            length: 0,
        }
    }

    /// Bytes appended so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at the end. Only before the first [`Spool::seek`].
    pub(super) fn append(&mut self, more: &[u8]) -> Result<(), FileFailure> {
        let length = self.length + more.len() as u64;
        if length > self.config.max_bytes {
            return Err(SourceFailure::TooLarge.into());
        }
        if let Content::Memory { bytes, held, .. } = &mut self.content {
            let whole = bytes.len() + more.len();
            if whole <= MEMORY_BYTES {
                if whole > bytes.capacity() {
                    let room = whole.next_multiple_of(MEMORY_STEP_BYTES);
                    held.resize(room as u64).map_err(refused)?;
                    bytes.reserve_exact(room - bytes.len());
                }
                bytes.extend_from_slice(more);
                self.length = length;
                return Ok(());
            }
            self.content = to_disk(&self.config, bytes)?;
        }
        if let Content::File { file, held } = &mut self.content {
            reserve_disk(held, length)?;
            file.write_all(more).map_err(failed)?;
        }
        self.length = length;
        Ok(())
    }

    /// Goes to a position, which may lie behind the end.
    pub(super) fn seek(&mut self, to: u64) -> Result<(), FileFailure> {
        match &mut self.content {
            Content::Memory { position, .. } => {
                *position = usize::try_from(to).unwrap_or(usize::MAX);
                Ok(())
            }
            Content::File { file, .. } => file.seek(SeekFrom::Start(to)).map(drop).map_err(failed),
        }
    }

    /// At most `max_bytes` from where it is; none at the end.
    pub(super) fn read(&mut self, max_bytes: usize) -> Result<Vec<u8>, FileFailure> {
        match &mut self.content {
            Content::Memory {
                bytes, position, ..
            } => {
                let rest = bytes.get(*position..).unwrap_or_default();
                let read = rest.get(..max_bytes).unwrap_or(rest).to_vec();
                *position += read.len();
                Ok(read)
            }
            Content::File { file, .. } => {
                let mut read = vec![0; max_bytes];
                let length = read_some(file, &mut read).map_err(failed)?;
                read.truncate(length);
                Ok(read)
            }
        }
    }
}

/// Moves what is in memory to a file.
fn to_disk(config: &SpoolConfig, bytes: &[u8]) -> Result<Content, FileFailure> {
    let mut held = config.account.reservation(HeldKind::SpoolFile);
    reserve_disk(&mut held, bytes.len() as u64)?;
    let mut file = tempfile::tempfile_in(&*config.dir).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    Ok(Content::File { file, held })
}

/// Reserves disk for `length` bytes: ahead where that is to be had.
fn reserve_disk(held: &mut Reservation, length: u64) -> Result<(), FileFailure> {
    if length <= held.bytes() {
        return Ok(());
    }
    let ahead = length.next_multiple_of(DISK_STEP_BYTES);
    match held.resize(ahead) {
        Ok(()) => Ok(()),
        Err(_) => held.resize(length).map_err(refused),
    }
}

fn refused(error: ReserveError) -> FileFailure {
    match error {
        ReserveError::TooLarge { .. } => SourceFailure::TooLarge.into(),
        error => FileFailure::NoRoom(error),
    }
}

fn failed(error: io::Error) -> FileFailure {
    tracing::error!(%error, "a file cannot be spooled");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FileFailure::DiskFull,
        _ => FileFailure::Spool,
    }
}

/// One read, again where a signal came in between.
pub(super) fn read_some(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use auricle_tenancy::{NodeLimits, NodeMemory, Quotas};

    use super::*;

    const MIB: usize = 1 << 20;

    fn spool(limits: NodeLimits) -> (Spool, Arc<NodeMemory>) {
        let node = NodeMemory::new(limits);
        let account = Account::on_node(Quotas::default(), Arc::clone(&node));
        let config = SpoolConfig {
            account: Arc::new(account),
            dir: Arc::new(std::env::temp_dir()),
            max_bytes: 64 << 20,
        };
        (Spool::new(config), node)
    }

    fn held(node: &NodeMemory, kind: HeldKind) -> u64 {
        let held = node.held();
        held.iter().find(|(of, _)| *of == kind).unwrap().1
    }

    #[test]
    fn large_file_moves_from_memory_to_disk_and_is_read_as_it_was() {
        let (mut spool, node) = spool(NodeLimits::UNLIMITED);
        let block: Vec<u8> = (0..MIB).map(|n| (n % 251) as u8).collect();
        for _ in 0..4 {
            spool.append(&block).unwrap();
        }
        assert_eq!(held(&node, HeldKind::Spool), 4 << 20);
        spool.append(b"end").unwrap();
        assert_eq!(held(&node, HeldKind::Spool), 0);
        assert_eq!(held(&node, HeldKind::SpoolFile), 8 << 20);
        spool.seek(4 << 20).unwrap();
        assert_eq!(spool.read(99).unwrap(), b"end");
        assert!(spool.read(99).unwrap().is_empty());
        spool.seek(7).unwrap();
        assert_eq!(spool.read(5).unwrap(), block[7..12]);
        drop(spool);
        assert_eq!(held(&node, HeldKind::SpoolFile), 0);
    }

    #[test]
    fn file_beyond_the_disk_pool_is_refused_before_it_is_written() {
        let (mut spool, node) = spool(NodeLimits {
            spool_bytes: 20 << 20,
            ..NodeLimits::UNLIMITED
        });
        let block = vec![7; MIB];
        let mut written = 0;
        let failure = loop {
            match spool.append(&block) {
                Ok(()) => written += 1,
                Err(failure) => break failure,
            }
        };
        // No tenant can ever have more than 16 of the 20 MiB.
        assert_eq!(failure, FileFailure::Source(SourceFailure::TooLarge));
        assert_eq!((written, spool.length()), (16, 16 << 20));
        assert_eq!(held(&node, HeldKind::SpoolFile), 16 << 20);
    }

    #[test]
    fn file_that_others_leave_no_memory_for_can_be_tried_again() {
        let (mut spool, node) = spool(NodeLimits {
            memory_bytes: 1 << 20,
            ..NodeLimits::UNLIMITED
        });
        let other = Arc::new(Account::on_node(Quotas::default(), node));
        let taken = other.reserve(HeldKind::Clip, 1 << 20).unwrap();
        let failure = spool.append(&[0; 9]).unwrap_err();
        assert!(matches!(
            failure,
            FileFailure::NoRoom(ReserveError::NodeFull { .. })
        ));
        drop(taken);
        spool.append(&[0; 9]).unwrap();
    }
}
