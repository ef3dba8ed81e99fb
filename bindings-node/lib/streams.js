'use strict'
// Node streams: bytes to blocks, blocks to blocks, blocks to bytes. Blocks are `Audio`, in object mode.

const { Duplex, Transform } = require('node:stream')
const native = require('./addon.js')
const { Audio, layoutOf } = require('./audio.js')
const { defaultEngine } = require('./engine.js')
const { PureSoundError, invalid } = require('./error.js')
const { isAudio } = require('./audio.js')
const { Decoder } = require('./live.js')

/** Blocks that may wait in a stream. */
const HIGH_WATER_BLOCKS = 4

/**
 * Decodes: bytes of a file in, blocks out. Most formats need all bytes before the first block; they are kept in memory up to 8 MiB,
 * then in a temporary file.
 */
class DecodeStream extends Duplex {
  #source = native.Source.feed()
  #engine
  #read
  #block_frames
  #cancel = new native.Cancel()
  #decoder

  constructor({ engine = defaultEngine(), block_frames = 16_384, signal, ...read } = {}) {
    super({ signal, readableObjectMode: true, readableHighWaterMark: HIGH_WATER_BLOCKS, autoDestroy: true })
    this.#engine = engine._native
    this.#read = JSON.stringify(read)
    this.#block_frames = block_frames
    this.#open().catch((error) => this.destroy(error))
  }

  async #open() {
    const handle = await this.#engine.open(this.#source, this.#read, this.#cancel)
    if (this.destroyed) return handle.close()
    this.#decoder = new Decoder(handle)
    this.emit('info', this.#decoder.info)
    if (this.#wanted) this.#next()
  }

  #wanted = false

  async #next() {
    this.#wanted = false
    try {
      this.push(await this.#decoder.read(this.#block_frames))
    } catch (error) {
      this.destroy(error)
    }
  }

  _read() {
    this.#wanted = true
    if (this.#decoder !== undefined) this.#next()
  }

  async _write(chunk, encoding, callback) {
    try {
      // False when nobody reads any more: the reason is told by the reading side.
      await this.#source.push(chunk)
      callback()
    } catch (error) {
      callback(error)
    }
  }

  _final(callback) {
    this.#source.end()
    callback()
  }

  _destroy(error, callback) {
    this.#cancel.cancel()
    this.#source.end('the stream was destroyed')
    this.#decoder?.close()
    callback(error)
  }
}

/** Filters: blocks in, blocks out. Latency is compensated, as for files. */
class ChainStream extends Transform {
  #engine
  #filters
  #chain
  #spec

  constructor(filters, { engine = defaultEngine(), signal } = {}) {
    super({ objectMode: true, highWaterMark: HIGH_WATER_BLOCKS, signal })
    this.#engine = engine._native
    this.#filters = JSON.stringify(filters)
  }

  async _transform(block, encoding, callback) {
    try {
      const spec = specOf(block)
      if (this.#chain === undefined) {
        this.#spec = spec
        this.#chain = new native.StreamChain(this.#engine, this.#filters, spec.rate_hz, spec.layout)
      }
      same(this.#spec, spec)
      const out = await this.#chain.write(block.channels)
      callback(null, out === null ? undefined : Audio.fromNative(out))
    } catch (error) {
      callback(error)
    }
  }

  async _flush(callback) {
    try {
      const out = await this.#chain?.finish()
      callback(null, out === null || out === undefined ? undefined : Audio.fromNative(out))
    } catch (error) {
      callback(error)
    }
  }

  _destroy(error, callback) {
    this.#chain?.close()
    callback(error)
  }
}

/**
 * Encodes: blocks in, the bytes of a file out. Opus and ADTS come as they are made; formats that fill in their headers at the end
 * (WAV, FLAC, MP3, M4A, ...) come then, from memory. What was written is told by the event `encoded`.
 */
class EncodeStream extends Transform {
  #engine
  #options
  #encoder
  #spec

  constructor({ engine = defaultEngine(), signal, ...options } = {}) {
    super({ writableObjectMode: true, writableHighWaterMark: HIGH_WATER_BLOCKS, signal })
    this.#engine = engine
    this.#options = options
    if (options.format === undefined) throw invalid('format', undefined, 'a format')
  }

  async _transform(block, encoding, callback) {
    try {
      const spec = specOf(block)
      if (this.#encoder === undefined) {
        this.#spec = spec
        const encoder = await this.#engine._streamEncoder({ ...spec, ...this.#options })
        if (this.destroyed) return encoder.abort()
        this.#encoder = encoder
      }
      same(this.#spec, spec)
      callback(null, (await this.#encoder._write(block)) ?? undefined)
    } catch (error) {
      callback(error)
    }
  }

  async _flush(callback) {
    try {
      if (this.#encoder === undefined) {
        const record = { name: 'EMPTY', code: 101, kind: 'input' }
        throw new PureSoundError('the input holds no audio', record)
      }
      const { data, ...encoded } = await this.#encoder.finish()
      this.emit('encoded', encoded)
      callback(null, data)
    } catch (error) {
      callback(error)
    }
  }

  _destroy(error, callback) {
    this.#encoder?.abort()
    callback(error)
  }
}

function specOf(block) {
  if (!isAudio(block)) throw invalid('block', block, 'audio: { rate_hz, layout, channels }')
  return { rate_hz: block.rate_hz, layout: layoutOf(block) }
}

function same(spec, other) {
  if (spec.rate_hz !== other.rate_hz || spec.layout !== other.layout) {
    const what = `a block of ${other.rate_hz} Hz ${other.layout} in a stream of ${spec.rate_hz} Hz ${spec.layout}`
    throw new PureSoundError(what, { name: 'CONFLICT', code: 800, kind: 'conflict', details: { what } })
  }
}

module.exports = {
  decodeStream: (options) => new DecodeStream(options),
  chainStream: (filters, options) => new ChainStream(filters, options),
  encodeStream: (options) => new EncodeStream(options),
  DecodeStream,
  ChainStream,
  EncodeStream,
}
