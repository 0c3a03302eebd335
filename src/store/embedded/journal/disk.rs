//! The files of the journal, as far as the journal needs them: a ring of segments of one length, each written in place.
//!
//! They are allocated at once and never grow, so an append needs no room on the disk, and its sync changes no metadata. Tests put a simulated
//! disk in their place, which tears, reorders and loses what was not synced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// How many segments there are, and how long each is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store::embedded) struct Extent {
    /// The number of segments.
    pub(in crate::store::embedded) segments: usize,
    /// The length of each, in bytes.
    pub(in crate::store::embedded) bytes: usize,
}

impl Extent {
    /// The segment of the ring that holds the segment with this id.
    pub(super) fn slot(self, segment: u64) -> usize {
        usize::try_from(segment % (self.segments as u64)).unwrap_or_default()
    }
}

/// The disk under a journal.
pub(in crate::store::embedded) trait Disk: Send {
    /// The shape of the ring.
    fn extent(&self) -> Extent;
    /// Reads a whole segment.
    fn read(&self, slot: usize) -> io::Result<Vec<u8>>;
    /// Writes within a segment.
    fn write(&self, slot: usize, at: usize, bytes: &[u8]) -> io::Result<()>;
    /// Returns after all that was written to a segment is durable.
    fn sync(&self, slot: usize) -> io::Result<()>;
}

/// Segments that are files of one folder.
pub(in crate::store::embedded) struct FolderDisk {
    extent: Extent,
    files: Vec<File>,
}

impl FolderDisk {
    /// Makes the folder and its files anew, durably; what was there is removed.
    pub(in crate::store::embedded) fn create(folder: &Path, extent: Extent) -> io::Result<()> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(folder)?,
        }
        for slot in 0..extent.segments {
            let file = OpenOptions::new().write(true).create_new(true).open(path(folder, slot))?;
            allocate(&file, extent.bytes)?;
            file.sync_all()?;
        }
        File::open(folder)?.sync_all()
    }

    /// Opens the files that [`create`](Self::create) made. A file that is missing is an error of kind `NotFound`; one that has another length, of kind
    /// `InvalidData`.
    pub(in crate::store::embedded) fn open(folder: &Path, extent: Extent) -> io::Result<Self> {
        let open = |slot| {
            let path = path(folder, slot);
            let wrong = |kind, what: &str| io::Error::new(kind, format!("{}: {what}", path.display()));
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|error| wrong(error.kind(), &error.to_string()))?;
            match file.metadata()?.len() == extent.bytes as u64 {
                true => Ok(file),
                false => Err(wrong(io::ErrorKind::InvalidData, "its length is not that of a segment")),
            }
        };
        let files = (0..extent.segments).map(open).collect::<io::Result<_>>()?;
        Ok(Self { extent, files })
    }

    fn file(&self, slot: usize) -> io::Result<&File> {
        self.files.get(slot).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for FolderDisk {
    fn extent(&self) -> Extent {
        self.extent
    }

    fn read(&self, slot: usize) -> io::Result<Vec<u8>> {
        let mut file = self.file(slot)?;
        let mut bytes = Vec::with_capacity(self.extent.bytes);
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, slot: usize, at: usize, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file(slot)?;
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(bytes)
    }

    fn sync(&self, slot: usize) -> io::Result<()> {
        self.file(slot)?.sync_data()
    }
}

fn path(folder: &Path, slot: usize) -> PathBuf {
    folder.join(format!("{slot:02}.segment"))
}

/// Reserves the room on the disk, so that a write within it cannot fail for lack of room.
fn allocate(mut file: &File, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{FallocateFlags, fallocate},
            io::Errno,
        };
        match fallocate(file, FallocateFlags::empty(), 0, bytes as u64) {
            // The file system cannot reserve room without writing it.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            outcome => return Ok(outcome?),
        }
    }
    let zeros = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let part = zeros.get(..left.min(zeros.len())).unwrap_or(&zeros);
        file.write_all(part)?;
        left -= part.len();
    }
    Ok(())
}
