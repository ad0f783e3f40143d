//! `auricle:audio/source`: the file that a decoder reads.
//!
//! Owned by the decoder's store. In order, nothing is kept but the first [`KEPT_BYTES`]; when the
//! decoder seeks, the rest is spooled (`spool`), which blocks: a decoder runs on a thread of its own.
//!
//! The decoder has one of the machine's cores while it computes and gives it back while it waits for
//! bytes: a client that sends slowly must hold up nobody.

use std::io::Read;
use std::sync::Arc;

use auricle_runtime::CpuMeter;
use auricle_speech::ReserveError;
use auricle_tenancy::{HeldKind, Reservation};
use bytes::Bytes;

use super::spool::{Spool, SpoolConfig, read_some};
use super::{FileCopy, Media, MediaSource};
use crate::bindings::decoder::auricle::audio::source::{Host, ReadError};
use crate::source::{SourceFailure, read_chunk};
use crate::state::GuestState;

/// Most bytes that one call gives.
const MAX_READ_BYTES: usize = 1 << 20;

/// What is kept of the front of a file until the decoder has read more: seeking must begin before.
const KEPT_BYTES: usize = 1 << 20;

/// What the front grows by.
const FRONT_STEP_BYTES: usize = 128 << 10;

/// Bytes that are read of a blocking reader at once.
const BLOCK_BYTES: usize = 64 << 10;

/// Why a file cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileFailure {
    /// The sender's bytes did not arrive.
    #[error(transparent)]
    Source(#[from] SourceFailure),
    /// There is no room to keep it within the tenant's share or the node's limit.
    #[error(transparent)]
    NoRoom(ReserveError),
    /// The spool's disk is full.
    #[error("the disk for spooled files is full")]
    DiskFull,
    /// The spool failed.
    #[error("the file cannot be kept for seeking")]
    Spool,
}

/// A decoder's file.
pub(crate) struct HostFile {
    source: MediaSource,
    /// For another decoder, while there is one and it is not too much.
    copy: Option<FileCopy>,
    spool: SpoolConfig,
    /// Arrived and not yet read.
    chunk: Bytes,
    place: Place,
    /// Bytes that have arrived.
    arrived_bytes: u64,
    failure: Option<FileFailure>,
    /// Of who reads it; nothing where that does not compute on a core of this process.
    reader: Option<Arc<CpuMeter>>,
}

/// Where what was read has gone.
enum Place {
    /// The whole front of the file, while it is short.
    Front(Vec<u8>, Reservation),
    /// Nowhere.
    Passed,
    /// The whole file.
    Spool(Spool),
}

impl HostFile {
    pub(crate) fn new(media: Media, spool: SpoolConfig) -> Self {
        let held = spool.account.reservation(HeldKind::Buffer);
        Self {
            source: media.source,
            copy: media.copy,
            spool,
            chunk: Bytes::new(),
            place: Place::Front(Vec::new(), held),
            arrived_bytes: 0,
            failure: None,
            reader: None,
        }
    }

    /// Says who reads it.
    pub(crate) fn computed_by(&mut self, reader: Option<Arc<CpuMeter>>) {
        self.reader = reader;
    }

    /// The file from its beginning again; nothing where its beginning is not kept.
    pub(crate) fn rewound(mut self) -> Option<Self> {
        match &mut self.place {
            Place::Front(front, _) => {
                self.chunk = [front.as_slice(), &self.chunk].concat().into();
                self.place = Place::Passed;
            }
            Place::Spool(spool) => spool.seek(0).ok()?,
            Place::Passed => return None,
        }
        Some(self)
    }

    /// The whole file, which has arrived then, to be read from its beginning; of one that is rewound or not
    /// begun.
    pub(super) async fn spooled(mut self) -> Result<Self, FileFailure> {
        if let Place::Passed = self.place {
            let held = self.spool.account.reservation(HeldKind::Buffer);
            self.place = Place::Front(Vec::new(), held);
        }
        self.seek(0).await?;
        Ok(self)
    }

    /// Reads on to the end what a decoder has left, if the file is copied.
    pub(super) async fn end_copy(&mut self) -> Result<(), FileFailure> {
        while self.copy.is_some() {
            self.arrive().await?;
        }
        Ok(())
    }

    /// The next bytes; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, FileFailure> {
        self.read(BLOCK_BYTES).await
    }

    /// Why the file could not be read, whatever the decoder made of it.
    pub(crate) fn failure(&self) -> Option<FileFailure> {
        self.failure
    }

    /// The next bytes of the source; none at the end.
    async fn arrive(&mut self) -> Result<Bytes, FileFailure> {
        let arrived = match &mut self.source {
            MediaSource::Stream(stream) => read_chunk(&mut **stream).await,
            MediaSource::Reader(reader) => read_block(reader),
        };
        if let Some(reader) = self.reader.clone() {
            // Whoever had to wait gave it back.
            reader.take_core().await;
        }
        match arrived {
            Ok(bytes) => {
                let bytes = bytes.unwrap_or_default();
                self.arrived_bytes += bytes.len() as u64;
                self.copy = self.copy.take().and_then(|copy| copy.with(&bytes));
                Ok(bytes)
            }
            Err(failure) => {
                self.failure = Some(failure.into());
                self.copy = None;
                Err(failure.into())
            }
        }
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Vec<u8>, FileFailure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let max_bytes = max_bytes.min(MAX_READ_BYTES);
        if let Place::Spool(spool) = &mut self.place {
            let read = spool.read(max_bytes);
            return self.kept(read);
        }
        if self.chunk.is_empty() {
            self.chunk = self.arrive().await?;
        }
        let bytes = self
            .chunk
            .split_to(self.chunk.len().min(max_bytes))
            .to_vec();
        if let Place::Front(front, held) = &mut self.place {
            if front.len() + bytes.len() > KEPT_BYTES {
                self.place = Place::Passed;
            } else {
                let kept = keep(front, held, &bytes);
                self.kept(kept)?;
            }
        }
        Ok(bytes)
    }

    /// Length of the whole file, which is spooled from now on; nothing when that comes too late.
    async fn spool(&mut self) -> Result<Option<u64>, FileFailure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let front = match &mut self.place {
            Place::Spool(spool) => return Ok(Some(spool.length())),
            Place::Passed => return Ok(None),
            Place::Front(front, _) => std::mem::take(front),
        };
        let (mut spool, read_bytes) = (Spool::new(self.spool.clone()), front.len());
        let mut next = Bytes::from(front);
        let mut waiting = std::mem::take(&mut self.chunk);
        loop {
            let appended = spool.append(&next);
            self.kept(appended)?;
            next = match waiting.is_empty() {
                false => std::mem::take(&mut waiting),
                true => self.arrive().await?,
            };
            if next.is_empty() {
                break;
            }
        }
        let sought = spool.seek(read_bytes as u64);
        self.kept(sought)?;
        let length = spool.length();
        self.place = Place::Spool(spool);
        Ok(Some(length))
    }

    async fn seek(&mut self, position: u64) -> Result<Option<()>, FileFailure> {
        if self.spool().await?.is_none() {
            return Ok(None);
        }
        if let Place::Spool(spool) = &mut self.place {
            let sought = spool.seek(position);
            self.kept(sought)?;
        }
        Ok(Some(()))
    }

    /// What was kept, or that it could not be.
    fn kept<T>(&mut self, outcome: Result<T, FileFailure>) -> Result<T, FileFailure> {
        outcome.inspect_err(|failure| self.failure = Some(*failure))
    }
}

/// Keeps more of the front of a file.
fn keep(front: &mut Vec<u8>, held: &mut Reservation, more: &[u8]) -> Result<(), FileFailure> {
    let whole = front.len() + more.len();
    if whole > front.capacity() {
        let room = whole.next_multiple_of(FRONT_STEP_BYTES);
        held.resize(room as u64).map_err(FileFailure::NoRoom)?;
        front.reserve_exact(room - front.len());
    }
    front.extend_from_slice(more);
    Ok(())
}

fn read_block(reader: &mut dyn Read) -> Result<Option<Bytes>, SourceFailure> {
    let mut block = vec![0; BLOCK_BYTES];
    match read_some(reader, &mut block) {
        Ok(length) => {
            block.truncate(length);
            Ok(Some(block.into()))
        }
        Err(error) => {
            tracing::debug!(%error, "a file cannot be read on");
            Err(SourceFailure::Disconnected)
        }
    }
}

impl Host for GuestState {
    async fn read(&mut self, max_bytes: u32) -> wasmtime::Result<Result<Vec<u8>, ReadError>> {
        let file = self.file()?;
        let before = file.arrived_bytes;
        let read = file.read(max_bytes as usize).await;
        self.earn_of_bytes(before)?;
        Ok(read.map_err(|_| ReadError::Failed))
    }

    async fn seek(&mut self, position: u64) -> wasmtime::Result<Result<(), ReadError>> {
        let file = self.file()?;
        let before = file.arrived_bytes;
        let sought = file.seek(position).await;
        self.earn_of_bytes(before)?;
        Ok(in_time(sought))
    }

    async fn length(&mut self) -> wasmtime::Result<Result<u64, ReadError>> {
        let file = self.file()?;
        let before = file.arrived_bytes;
        let length = file.spool().await;
        self.earn_of_bytes(before)?;
        Ok(in_time(length))
    }
}

fn in_time<T>(outcome: Result<Option<T>, FileFailure>) -> Result<T, ReadError> {
    match outcome {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(ReadError::NotSeekable),
        Err(_) => Err(ReadError::Failed),
    }
}

impl GuestState {
    fn earn_of_bytes(&mut self, before: u64) -> wasmtime::Result<()> {
        let arrived = self.file()?.arrived_bytes - before;
        self.earn(super::run::earned_by_bytes(arrived));
        Ok(())
    }
}
