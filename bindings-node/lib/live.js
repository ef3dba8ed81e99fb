'use strict'
// Live objects: what works on blocks.

const native = require('./addon.js')
const { Audio, layoutOf, isAudio, samplesOf } = require('./audio.js')
const { invalid } = require('./error.js')

/** Frames of a block, unless the caller says otherwise. */
const BLOCK_FRAMES = 16_384

// engine.js needs this module, so it is asked for when it is needed.
const engines = () => require('./engine.js')
const engineOf = (engine) => (engine ?? engines().defaultEngine())._native

/** Layout of an options object: `layout`, or a number of `channels`. */
function layoutOption({ layout, channels }) {
  if (Array.isArray(channels)) return String(layout ?? channels.length)
  if (layout === undefined && channels === undefined) throw invalid('layout', layout, 'a layout, or a number of channels')
  return String(layout ?? channels)
}

/** Reads an input block by block. */
class Decoder {
  #native
  #closed = false

  /** Use `Decoder.open`. */
  constructor(handle) {
    this.#native = handle
  }

  static open(input, { engine, ...options } = {}) {
    return (engine ?? engines().defaultEngine()).open(input, options)
  }

  get info() {
    return JSON.parse(this.#native.info())
  }

  get damage() {
    return JSON.parse(this.#native.damage())
  }

  async read(maxFrames = BLOCK_FRAMES) {
    const block = await this.#native.read(maxFrames)
    return block === null ? null : Audio.fromNative(block)
  }

  async readInterleaved(maxFrames = BLOCK_FRAMES) {
    const block = await this.read(maxFrames)
    return block === null ? null : block.toInterleaved()
  }

  readSync(maxFrames = BLOCK_FRAMES) {
    const block = this.#native.readSync(maxFrames)
    return block === null ? null : Audio.fromNative(block)
  }

  async seek(frame) {
    await this.#native.seek(frame)
  }

  close() {
    this.#closed = true
    this.#native.close()
  }

  /** Blocks from here to the end. The decoder is closed when the loop is left. */
  async *blocks(maxFrames = BLOCK_FRAMES) {
    try {
      for (;;) {
        const block = await this.read(maxFrames)
        if (block === null) return
        yield block
      }
    } finally {
      this.close()
    }
  }

  get closed() {
    return this.#closed
  }

  [Symbol.asyncIterator]() {
    return this.blocks()
  }

  [Symbol.dispose]() {
    this.close()
  }

  async [Symbol.asyncDispose]() {
    this.close()
  }
}

/** Encodes blocks to a file or to bytes. Left before `finish`, nothing remains. */
class Encoder {
  #native

  /** Use `Encoder.create`. */
  constructor(handle) {
    this.#native = handle
  }

  static create(path, { engine, ...options } = {}) {
    return (engine ?? engines().defaultEngine()).encoder(path, options)
  }

  static async _create(engine, target, path, options = {}) {
    const { rate_hz, layout, channels, format, metadata, overwrite = 'replace', ...unknown } = options
    const { formatOf, refuse } = engines()
    refuse(unknown, 'rate_hz, layout, channels, format, metadata, overwrite')
    if (overwrite !== 'replace' && overwrite !== 'refuse') throw invalid('overwrite', overwrite, 'replace, refuse')
    if (target === 'file' && path === undefined) throw invalid('path', path, 'a path, a file: URL, or null for memory')
    const where = layoutOption({ layout, channels })
    const [kind, tags] = [JSON.stringify(formatOf(format)), JSON.stringify(metadata ?? null)]
    return new Encoder(await engine.encoder(rate_hz, where, target, path, overwrite === 'replace', kind, tags))
  }

  /** What is written, and why it differs from the blocks. */
  get negotiated() {
    return JSON.parse(this.#native.negotiated())
  }

  /** Encodes a block of any length. */
  async write(samples) {
    await this.#native.write(samplesOf(samples), false)
  }

  async writeInterleaved(samples) {
    await this.#native.write(samples, true)
  }

  /** As `write`; gives the bytes that are ready. */
  _write(samples) {
    return this.#native.write(samplesOf(samples), false)
  }

  /** Completes the file. Gives what was written; of an encoder to memory also `data`. */
  async finish() {
    const { encoded, bytes } = await this.#native.finish()
    return bytes === undefined || bytes === null ? JSON.parse(encoded) : { ...JSON.parse(encoded), data: bytes }
  }

  /** Gives up. Nothing remains. */
  abort() {
    this.#native.abort()
  }

  [Symbol.dispose]() {
    this.abort()
  }

  async [Symbol.asyncDispose]() {
    this.abort()
  }
}

/** Filters over samples in place, for live audio. */
class Chain {
  #native

  constructor(filters, options = {}) {
    const { engine, rate_hz, max_frames } = options
    this.#native = new native.Chain(engineOf(engine), JSON.stringify(filters), rate_hz, layoutOption(options), max_frames)
  }

  /** Filters in place: a list of channels, or one array with channel after channel. */
  process(samples) {
    this.#native.process(Array.isArray(samples) ? samples : samplesOf(samples), false)
    return samples
  }

  processInterleaved(samples) {
    this.#native.process(samples, true)
    return samples
  }

  setParameter(filter, name, value) {
    this.#native.setParameter(filter, name, value)
  }

  parameter(filter, name) {
    return this.#native.parameter(filter, name)
  }

  setGlideMs(glideMs) {
    this.#native.setGlideMs(glideMs)
  }

  reset() {
    this.#native.reset()
  }

  /** Lets it go now instead of when it is collected. */
  close() {
    this.#native.close()
  }

  [Symbol.dispose]() {
    this.close()
  }

  /** What filters held back, after the last `process`. */
  finish() {
    const blocks = []
    for (let block = this.#native.finish(); block !== null; block = this.#native.finish()) blocks.push(block)
    return blocks.map(Audio.fromNative)
  }

  get latencyFrames() {
    return this.#native.latencyFrames
  }

  get tailFrames() {
    return this.#native.tailFrames
  }

  get isRealtime() {
    return this.#native.isRealtime
  }

  get nonFiniteSamples() {
    return this.#native.nonFiniteSamples
  }
}

/** Loudness, true peak and level of a stream. */
class Meter {
  #native

  constructor(options = {}) {
    const { rate_hz, layout, channels, ...settings } = options
    // Audio as the options is audio to measure: it has no settings.
    const text = JSON.stringify(isAudio(options) ? {} : settings)
    this.#native = new native.Meter(rate_hz, layoutOption(options), text)
  }

  push(samples) {
    this.#native.push(Array.isArray(samples) ? samples : samplesOf(samples), false)
  }

  pushInterleaved(samples) {
    this.#native.push(samples, true)
  }

  get momentaryLufs() {
    return this.#native.momentaryLufs()
  }

  get shortTermLufs() {
    return this.#native.shortTermLufs()
  }

  get integratedLufs() {
    return this.#native.integratedLufs()
  }

  get frames() {
    return this.#native.frames()
  }

  summary() {
    return JSON.parse(this.#native.summary())
  }

  reset() {
    this.#native.reset()
  }

  /** Lets it go now instead of when it is collected. */
  close() {
    this.#native.close()
  }

  [Symbol.dispose]() {
    this.close()
  }
}

/** Another sample rate for a stream. */
class Resampler {
  #native

  constructor({ in_rate_hz, out_rate_hz, layout, channels, quality } = {}) {
    if (quality !== undefined && typeof quality !== 'string') throw invalid('quality', quality, 'fast, good, best')
    this.#native = new native.Resampler(in_rate_hz, out_rate_hz, layoutOption({ layout, channels }), quality)
  }

  /** Converts samples; gives what is ready, at first little. */
  process(samples) {
    return Audio.fromNative(this.#native.process(samplesOf(samples), false))
  }

  /** As `process`, from and to samples frame by frame. */
  processInterleaved(samples) {
    return Audio.fromNative(this.#native.process(samples, true)).toInterleaved()
  }

  /** The last frames. After it only `reset` makes sense. */
  finish() {
    return Audio.fromNative(this.#native.finish())
  }

  finishInterleaved() {
    return this.finish().toInterleaved()
  }

  /** Most frames that one call with at most `frames` frames, or `finish`, can give. */
  maxOutputFrames(frames) {
    return this.#native.maxOutputFrames(frames)
  }

  reset() {
    this.#native.reset()
  }

  /** Lets it go now instead of when it is collected. */
  close() {
    this.#native.close()
  }

  [Symbol.dispose]() {
    this.close()
  }
}

module.exports = { Chain, Decoder, Encoder, Meter, Resampler, engineOf, isAudio, layoutOf }
