//! The network that listens: FireRed AED, a feed-forward sequential memory network (DFSMN) for speech, singing and music.
//!
//! Eight memory layers of 128 values, each with a filter of its own over the 200 ms before and after for every value (S. Zhang et al.,
//! *Deep-FSMN for large vocabulary continuous speech recognition*, ICASSP 2018); so it looks 1.6 s ahead. Weights: `model/NOTICE`.

use super::log_mel::BANDS;
use super::weights::Weights;
use crate::dsp::kernels::{LANES, dense, dot, fir_rows};
use crate::error::Result;

/// Values of a memory layer.
pub(super) const MEMORY: usize = 128;
/// Values of the other layers.
pub(super) const HIDDEN: usize = 256;
/// Speech, singing, music.
pub(super) const EVENTS: usize = 3;

/// Memory layers after the first.
const BLOCKS: usize = 7;
/// Rows that a filter takes before and with its own, and after it.
const BACK: usize = 20;
const AHEAD: usize = 20;

/// What the network makes of a number of rows.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// [`MEMORY`] values per row: the last memory layer.
    pub memory: Vec<f32>,
    /// [`HIDDEN`] values per row: the layer after it.
    pub hidden: Vec<f32>,
    /// [`EVENTS`] probabilities per row.
    pub events: Vec<f32>,
}

/// Hears a stream. Memory does not grow.
pub(super) struct Network {
    mean: Vec<f32>,
    scale: Vec<f32>,
    first: [Dense; 2],
    memory: Memory,
    blocks: Vec<Block>,
    hidden: Dense,
    /// For each event the weights of its inputs, and its bias.
    events: (Vec<f32>, Vec<f32>),
}

impl Network {
    /// With the weights of the library.
    pub fn new() -> Result<Self> {
        let mut weights = Weights::network()?;
        let (mean, scale) = (weights.floats(BANDS)?, weights.floats(BANDS)?);
        let first = [Dense::read(&mut weights, BANDS, HIDDEN, true)?, Dense::read(&mut weights, HIDDEN, MEMORY, true)?];
        let memory = Memory::read(&mut weights)?;
        let blocks = (0..BLOCKS).map(|_| Block::read(&mut weights)).collect::<Result<_>>()?;
        let hidden = Dense::read(&mut weights, MEMORY, HIDDEN, true)?;
        let events = (weights.matrix(EVENTS, HIDDEN)?, weights.floats(EVENTS)?);
        weights.end()?;
        Ok(Self { mean, scale, first, memory, blocks, hidden, events })
    }

    /// Adds rows of [`BANDS`] log powers. What it makes of them comes 160 rows later, or with the `last` of them.
    pub fn push(&mut self, rows: &[f32], last: bool) -> Heard {
        let mut input = rows.to_vec();
        for row in input.chunks_exact_mut(BANDS) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = (*x - mean) * scale;
            }
        }
        let [one, two] = &self.first;
        let mut memory = self.memory.push(&two.run(&one.run(&input, true), true), last);
        for block in &mut self.blocks {
            memory = block.push(&memory, last);
        }
        let hidden = self.hidden.run(&memory, true);
        let (weights, bias) = &self.events;
        let event = |row: &[f32], e: usize| {
            let sum = dot(row, &weights[e * HIDDEN..(e + 1) * HIDDEN]) + bias[e];
            1.0 / (1.0 + (-sum).exp())
        };
        let events = hidden.chunks_exact(HIDDEN).flat_map(|row| (0..EVENTS).map(move |e| event(row, e))).collect();
        Heard { memory, hidden, events }
    }
}

/// A dense layer.
struct Dense {
    inputs: usize,
    /// In blocks of 16 outputs, as the kernel wants them.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    fn read(weights: &mut Weights, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let matrix = weights.matrix(outputs, inputs)?;
        let bias = if bias { weights.floats(outputs)? } else { vec![0.0; outputs] };
        let mut blocks = Vec::with_capacity(matrix.len());
        for block in matrix.chunks_exact(LANES * inputs) {
            blocks.extend((0..inputs).flat_map(|i| (0..LANES).map(move |o| block[o * inputs + i])));
        }
        Ok(Self { inputs, weights: blocks, bias })
    }

    fn run(&self, rows: &[f32], relu: bool) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() / self.inputs * self.bias.len()];
        dense(rows, self.inputs, &self.weights, &self.bias, relu, &mut out);
        out
    }
}

/// A memory layer: each value plus what a filter makes of those before and after it.
struct Memory {
    /// Tap by tap, [`MEMORY`] values each.
    taps: Vec<f32>,
    /// Rows that are needed for those that come.
    rows: Vec<f32>,
}

impl Memory {
    fn read(weights: &mut Weights) -> Result<Self> {
        let (back, ahead) = (weights.matrix(MEMORY, BACK)?, weights.matrix(MEMORY, AHEAD)?);
        let mut taps = Vec::with_capacity((BACK + AHEAD) * MEMORY);
        for (filter, length) in [(back, BACK), (ahead, AHEAD)] {
            taps.extend((0..length).flat_map(|k| filter.chunks_exact(length).map(move |channel| channel[k])));
        }
        // The value itself.
        taps[(BACK - 1) * MEMORY..BACK * MEMORY].iter_mut().for_each(|tap| *tap += 1.0);
        Ok(Self { taps, rows: vec![0.0; (BACK - 1) * MEMORY] })
    }

    fn push(&mut self, rows: &[f32], last: bool) -> Vec<f32> {
        self.rows.extend_from_slice(rows);
        if last {
            self.rows.resize(self.rows.len() + AHEAD * MEMORY, 0.0);
        }
        let count = (self.rows.len() / MEMORY).saturating_sub(BACK + AHEAD - 1);
        let mut out = vec![0.0; count * MEMORY];
        fir_rows(&self.rows, MEMORY, &self.taps, &mut out);
        self.rows.drain(..count * MEMORY);
        out
    }
}

/// Two dense layers and a memory layer, around which the input goes, too.
struct Block {
    up: Dense,
    down: Dense,
    memory: Memory,
    /// Input for which there is no output yet.
    waiting: Vec<f32>,
}

impl Block {
    fn read(weights: &mut Weights) -> Result<Self> {
        let (up, down) = (Dense::read(weights, MEMORY, HIDDEN, true)?, Dense::read(weights, HIDDEN, MEMORY, false)?);
        Ok(Self { up, down, memory: Memory::read(weights)?, waiting: Vec::new() })
    }

    fn push(&mut self, rows: &[f32], last: bool) -> Vec<f32> {
        let mut out = self.memory.push(&self.down.run(&self.up.run(rows, true), false), last);
        self.waiting.extend_from_slice(rows);
        let given = self.waiting.drain(..out.len());
        out.iter_mut().zip(given).for_each(|(out, x)| *out += x);
        out
    }
}
