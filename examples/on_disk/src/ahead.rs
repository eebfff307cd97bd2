//! Batches from the file. Each reader is a thread that reads its next part of the file while the network trains on this one;
//! each holds at most two parts.

use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context, Result, ensure};
use gradstep::{Batcher, Blocks, Order, Position, Sequential, Stream};

use super::data::Samples;
use super::file::{self, Rows};

/// An order that says what to read.
pub(crate) trait Readable: Order + Clone + Send + 'static {
    /// The places of the epoch whose rows are read together with the row of `place`.
    fn places(&self, epoch: u64, place: u64) -> Range<u64>;
    /// The rows of these that reader `reader` of `readers` reads, in ascending order. A range is one read.
    fn ranges(&self, epoch: u64, place: u64, reader: u64, readers: u64) -> Result<Vec<Range<u64>>>;
    /// The index of the sample among the rows of `ranges`, if it is one of them.
    fn row(&self, ranges: &[Range<u64>], sample: usize) -> Option<usize>;
}

impl Readable for Blocks {
    fn places(&self, epoch: u64, place: u64) -> Range<u64> {
        self.run(epoch, place)
    }

    fn ranges(&self, epoch: u64, place: u64, reader: u64, readers: u64) -> Result<Vec<Range<u64>>> {
        Ok(self.window(epoch, place, self.lanes_of(reader, readers)?)?)
    }

    fn row(&self, ranges: &[Range<u64>], sample: usize) -> Option<usize> {
        Blocks::row(self, ranges, sample)
    }
}

/// In file order: 1,024 rows per read, and the readers take turns.
impl Readable for Sequential {
    fn places(&self, _epoch: u64, place: u64) -> Range<u64> {
        let start = place / (16 * 1024) * (16 * 1024);
        start..self.len().min(start + 16 * 1024)
    }

    fn ranges(&self, epoch: u64, place: u64, reader: u64, readers: u64) -> Result<Vec<Range<u64>>> {
        let places = self.places(epoch, place);
        let starts = places.clone().step_by(1024).skip(reader as usize).step_by(readers as usize);
        Ok(starts.map(|start| start..places.end.min(start + 1024)).collect())
    }

    fn row(&self, ranges: &[Range<u64>], sample: usize) -> Option<usize> {
        let read = ranges.partition_point(|range| range.end <= sample as u64);
        Some(1024 * read + (sample as u64).checked_sub(ranges.get(read)?.start)? as usize)
    }
}

#[derive(Default)]
struct Part {
    ranges: Vec<Range<u64>>,
    rows: Vec<u8>,
}

struct Reader {
    part: Part,
    empty: Sender<Part>,
    full: Receiver<Result<Part>>,
}

impl Reader {
    /// Reads one part after another: `next` returns the rows.
    fn new(mut file: Rows, mut next: impl FnMut() -> Result<Vec<Range<u64>>> + Send + 'static) -> Result<Reader> {
        let (empty, to_fill) = channel::<Part>();
        let (filled, full) = channel();
        empty.send(Part::default())?; // the second part, beside `part`
        thread::Builder::new().spawn(move || {
            for mut part in to_fill {
                let mut fill = || {
                    part.ranges = next()?;
                    part.rows.clear();
                    let rows = part.ranges.iter().map(|range| range.end - range.start).sum::<u64>();
                    let len = rows as usize * (1 + file.inputs);
                    part.rows.try_reserve_exact(len).with_context(|| format!("no memory for {len} bytes of rows"))?;
                    part.ranges.iter().try_for_each(|range| file.read(range.clone(), &mut part.rows))
                };
                let filled_part = fill().map(|()| part);
                if filled.send(filled_part).is_err() {
                    break; // the training has ended
                }
            }
        })?;
        Ok(Reader { part: Part::default(), empty, full })
    }

    fn advance(&mut self) -> Result<()> {
        let _ = self.empty.send(std::mem::take(&mut self.part)); // if the reader failed, it has sent its error
        self.part = self.full.recv().context("a reader has ended")??;
        Ok(())
    }
}

/// The batches of an order, as samples.
pub(crate) struct Feed<O> {
    order: O,
    stream: Stream<O>,
    readers: Vec<Reader>,
    /// The epoch and the places whose rows the readers' parts hold.
    held: (u64, Range<u64>),
    row_len: usize,
    pub(crate) rows_read: Vec<u64>,
}

impl<O: Readable> Feed<O> {
    pub(crate) fn new(path: &Path, batcher: &Batcher<O>, position: &Position, readers: u64) -> Result<Feed<O>> {
        ensure!(readers > 0, "readers is 0, expected at least 1");
        let (order, stream) = (batcher.order().clone(), batcher.resume(position)?);
        let mut row_len = 0;
        let start = |reader| {
            let file = Rows::open(path)?;
            ensure!(file.rows == order.len(), "{}: the file has changed", path.display());
            row_len = 1 + file.inputs;
            let (mut epoch, mut place, order) = (position.epoch(), position.samples(), order.clone());
            Reader::new(file, move || {
                let ranges = order.ranges(epoch, place, reader, readers)?;
                place = order.places(epoch, place).end;
                if place == order.len() {
                    (epoch, place) = (epoch + 1, 0);
                }
                Ok(ranges)
            })
        };
        let started = (0..readers).map(start).collect::<Result<Vec<_>>>()?;
        let rows_read = vec![0; started.len()];
        Ok(Feed { order, stream, readers: started, held: (0, 0..0), row_len, rows_read })
    }

    pub(crate) fn position(&self) -> Position {
        self.stream.position()
    }

    /// Writes the next batch to `samples`. It may begin in one window and end in another.
    pub(crate) fn next_batch(&mut self, samples: &mut Samples) -> Result<()> {
        samples.inputs = self.row_len - 1;
        samples.pixels.clear();
        samples.labels.clear();
        let (epoch, start) = (self.stream.epoch(), self.stream.samples());
        let batch = self.stream.next_batch().context("the stream has ended")?;
        for (place, &sample) in (start..).zip(batch) {
            if self.held.0 != epoch || !self.held.1.contains(&place) {
                self.held = (epoch, self.order.places(epoch, place));
                for (reader, read) in self.readers.iter_mut().zip(&mut self.rows_read) {
                    reader.advance()?;
                    *read += (reader.part.rows.len() / self.row_len) as u64;
                }
            }
            let row = |reader: &'_ Reader| Some(self.order.row(&reader.part.ranges, sample)? * self.row_len);
            let found =
                self.readers.iter().find_map(|reader| reader.part.rows.get(row(reader)?..)?.get(..self.row_len));
            file::push(samples, found.context("an order and its ranges differ")?)?;
        }
        Ok(())
    }
}
