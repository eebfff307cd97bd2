//! The file of rows: a header, the rows to train on, sorted by label, the held-out rows, and zeros up to a whole page. A row
//! is a label and its pixels, a byte each.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gradstep::Draws;
use rustix::fs::OFlags;

use super::data::{Samples, Split};

/// The header begins with this. The numbers of pixels, rows, and held-out rows follow (u64, little-endian).
const FORMAT: &[u8; 8] = b"on_disk1";
const HEADER: u64 = 32;
/// Direct reads begin and end at multiples of this, in the file and in memory.
const PAGE: u64 = 4096;
/// The standard deviation of the noise; a pixel is from 0 to 1.
const NOISE: f32 = 0.5;

/// Writes a file of about `size` bytes. After an error `path` is what it was.
pub(crate) fn make(path: &Path, size: u64, data: &Split) -> Result<u64> {
    let row_len = 1 + data.train.inputs as u64;
    let held_out = data.held_out.len() as u64;
    let rows = (size / row_len).saturating_sub(held_out);
    ensure!(rows >= 10, "size is {size}, expected at least {}", (held_out + 10) * row_len);
    let mut unfinished = OsString::from(path);
    unfinished.push(".tmp");
    let unfinished = Path::new(&unfinished);
    let written = write(unfinished, rows, data).and_then(|()| Ok(fs::rename(unfinished, path)?));
    if written.is_err() {
        let _ = fs::remove_file(unfinished); // otherwise a full disk stays full
    }
    written.with_context(|| format!("{}: not written", path.display()))?;
    Ok(rows)
}

fn write(path: &Path, rows: u64, data: &Split) -> Result<()> {
    let (inputs, held_out) = (data.train.inputs, data.held_out.len() as u64);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(FORMAT)?;
    for number in [inputs as u64, rows, held_out] {
        file.write_all(&number.to_le_bytes())?;
    }
    let images = |label| (0..data.train.len()).filter(|&i| data.train.labels[i] == label).collect::<Vec<_>>();
    let by_label: Vec<_> = (0..10).map(images).collect();
    ensure!(by_label.iter().all(|images| !images.is_empty()), "a class has no image");
    for row in 0..rows {
        let images = &by_label[(u128::from(row) * 10 / u128::from(rows)) as usize];
        write_row(&mut file, &data.train, images[row as usize % images.len()], row)?;
    }
    for row in 0..held_out {
        write_row(&mut file, &data.held_out, row as usize, rows + row)?;
    }
    let end = HEADER + (rows + held_out) * (1 + inputs as u64);
    file.write_all(&vec![0; (end.next_multiple_of(PAGE) - end) as usize])?;
    file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    Ok(())
}

/// The row's number draws the noise, so that it is the same everywhere.
fn write_row(file: &mut impl Write, samples: &Samples, image: usize, row: u64) -> Result<()> {
    let (pixels, label) = samples.get(image);
    let mut noise = vec![0.0_f32; pixels.len()];
    Draws::new("noise", [row, 0], 0).fill_normal(&mut noise);
    let byte = |(&pixel, noise): (&f32, &f32)| (255.0 * (pixel + NOISE * noise) + 0.5) as u8; // from 0 to 255
    file.write_all(&[label as u8])?;
    file.write_all(&pixels.iter().zip(&noise).map(byte).collect::<Vec<_>>())?;
    Ok(())
}

/// An open file, read past the page cache: every read comes from the disk, into this program's memory only.
pub(crate) struct Rows {
    file: File,
    pub(crate) inputs: usize,
    pub(crate) rows: u64,
    pub(crate) held_out: u64,
    pages: Vec<u8>,
}

impl Rows {
    pub(crate) fn open(path: &Path) -> Result<Rows> {
        Self::opened(path).with_context(|| path.display().to_string())
    }

    fn opened(path: &Path) -> Result<Rows> {
        let mut file = OpenOptions::new();
        file.read(true);
        file.open(path)?; // tells "not found" from "this file system has no direct reads"
        let file =
            file.custom_flags(OFlags::DIRECT.bits() as i32).open(path).context("no direct reads (O_DIRECT) here")?;
        let len = file.metadata()?.len();
        let mut rows = Rows { file, inputs: 0, rows: 0, held_out: 0, pages: Vec::new() };
        let header = if len >= PAGE { rows.bytes(0..HEADER)? } else { &[] };
        ensure!(header.starts_with(FORMAT), "not a file of `on_disk make`");
        let number = |i: usize| u64::from_le_bytes(header[8 * i..8 * i + 8].try_into().expect("8 bytes"));
        let [inputs, count, held_out] = [1, 2, 3].map(number);
        let expected = (u128::from(count) + u128::from(held_out)).saturating_mul(u128::from(inputs) + 1);
        let expected = expected.saturating_add(HEADER.into()).div_ceil(PAGE.into()).saturating_mul(PAGE.into());
        ensure!(u128::from(len) == expected, "cut off or added to: {len} bytes, expected {expected}");
        (rows.inputs, rows.rows, rows.held_out) = (usize::try_from(inputs)?, count, held_out);
        Ok(rows)
    }

    /// Appends the rows `rows` to `out`, in one read.
    pub(crate) fn read(&mut self, rows: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        let at = |row| HEADER + row * (1 + self.inputs as u64);
        let bytes = at(rows.start)..at(rows.end);
        out.extend_from_slice(self.bytes(bytes).with_context(|| format!("rows {rows:?}"))?);
        Ok(())
    }

    fn bytes(&mut self, bytes: Range<u64>) -> Result<&[u8]> {
        let start = bytes.start / PAGE * PAGE;
        let len = (bytes.end.next_multiple_of(PAGE) - start) as usize;
        self.pages.resize(self.pages.len().max(len + PAGE as usize), 0);
        let aligned = self.pages.as_ptr().align_offset(PAGE as usize);
        let pages = &mut self.pages[aligned..aligned + len];
        self.file.read_exact_at(pages, start)?;
        Ok(&pages[(bytes.start - start) as usize..(bytes.end - start) as usize])
    }
}

/// Appends the pixels and the label of a row to `samples`.
pub(crate) fn push(samples: &mut Samples, row: &[u8]) -> Result<()> {
    ensure!(row[0] < 10, "the file is damaged: a label is {}, expected 0 to 9", row[0]);
    samples.labels.push(row[0]);
    samples.pixels.extend(row[1..].iter().map(|&pixel| f32::from(pixel) / 255.0));
    Ok(())
}
