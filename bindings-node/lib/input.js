'use strict'
// What calls take as input, and how they are cancelled.

const { fileURLToPath } = require('node:url')
const native = require('./addon.js')
const { isAudio, layoutOf } = require('./audio.js')
const { invalid } = require('./error.js')

const ALLOWED = 'a path, a file: URL, bytes (Buffer, Uint8Array, ArrayBuffer), a stream of bytes, a Blob, or audio'

/** The path of a string or file: URL; undefined for anything else. */
function pathOf(value) {
  if (typeof value === 'string') return value
  return value instanceof URL ? fileURLToPath(value) : undefined
}

function bytesOf(value) {
  if (value instanceof Uint8Array) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined
}

/** The addon's source for an input. For a stream also that, whose bytes `pump` brings. */
function openInput(input) {
  const path = pathOf(input)
  if (path !== undefined) return { source: native.Source.path(path) }
  if (isAudio(input)) return { source: native.Source.audio(input.rate_hz, layoutOf(input), input.channels) }
  const bytes = bytesOf(input)
  if (bytes !== undefined) return { source: native.Source.bytes(bytes) }
  const stream = typeof input?.stream === 'function' ? input.stream() : input
  if (typeof stream?.[Symbol.asyncIterator] !== 'function') throw invalid('input', input, ALLOWED)
  return { source: native.Source.feed(), stream }
}

/** The addon's sources for inputs, the first one first. Nothing is read yet. */
function openAll(inputs) {
  const opened = inputs.map((input) => openInput(input))
  const streams = opened.map(({ stream }) => stream).filter((stream) => stream !== undefined)
  // Each would get some of its bytes.
  if (new Set(streams).size < streams.length) throw invalid('input', 'one stream twice', 'a stream for each input')
  return opened
}

/** Brings the bytes of a stream to a source. Gives the end: a promise, and a way to stop. */
function pump(stream, source) {
  // A stream of Node is left to us to end.
  const iterator = stream.iterator?.({ destroyOnReturn: false }) ?? stream[Symbol.asyncIterator]()
  let stopped = false
  const run = async () => {
    try {
      for (;;) {
        const { value, done } = await iterator.next()
        if (done || stopped) break
        const bytes = typeof value === 'string' ? Buffer.from(value) : bytesOf(value)
        if (bytes === undefined) throw invalid('input', value, 'a stream of bytes')
        if (!(await source.push(bytes))) break
      }
      source.end()
    } catch (error) {
      source.end(String(error?.message ?? error))
      if (!stopped) throw error
    }
  }
  const stop = () => {
    if (stopped) return
    stopped = true
    // The request of an HTTP server stays open: its socket is where the answer goes.
    const request = stream.socket !== undefined && stream.headers !== undefined
    if (typeof stream.destroy === 'function') {
      if (!request) stream.destroy()
    } else {
      Promise.resolve(iterator.return?.()).catch(() => {})
    }
  }
  const ended = run()
  // What the stream failed of is told by the call that reads it.
  ended.catch(() => {})
  return { ended, stop }
}

/**
 * Runs a call of the addon: `work(source, cancel, progress)` gives its promise. Rejects with `signal.reason` when aborted, with what
 * the input stream or `onProgress` threw, else with the error of the engine.
 */
function run(input, call, work) {
  return runAll([input], call, ([source], cancel, progress) => work(source, cancel, progress))
}

/**
 * As `run` for any number of inputs: `work(sources, cancel, progress)`. Whatever ends the call ends all of their streams: the addon may
 * be waiting for the bytes of any of them.
 */
async function runAll(inputs, { signal, onProgress } = {}, work) {
  signal?.throwIfAborted()
  const opened = openAll(inputs)
  const sources = opened.map(({ source }) => source)
  const pumps = []
  const cancel = new native.Cancel()
  let failure
  const close = (reason) => {
    cancel.cancel()
    for (const running of pumps) running.stop()
    for (const source of sources) source.end(reason)
  }
  const stop = () => close('cancelled')
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const { callback, told } = watch(onProgress, stop, (error) => (failure = { error }))
    for (const { source, stream } of opened) if (stream !== undefined) pumps.push(pump(stream, source))
    const brought = pumps.map(({ ended }) =>
      ended.catch((error) => {
        failure ??= { error }
        stop()
      })
    )
    const result = await work(sources, cancel, callback)
    await told
    await Promise.all(brought)
    return result
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw failure === undefined ? error : failure.error
  } finally {
    signal?.removeEventListener('abort', stop)
    // Also keeps them alive until here: the addon takes their end for the end of this environment.
    close()
  }
}

/** The addon's form of `onProgress`, and a promise of the last call. */
function watch(onProgress, stop, failed) {
  if (onProgress === undefined || onProgress === null) return {}
  if (typeof onProgress !== 'function') throw invalid('onProgress', onProgress, 'a function')
  let last
  const told = new Promise((resolve) => (last = resolve))
  let stopped = false
  const callback = (text) => {
    if (text === '') return last()
    if (stopped) return
    try {
      if (onProgress(JSON.parse(text)) !== false) return
    } catch (error) {
      failed(error)
    }
    stopped = true
    stop()
  }
  return { callback, told }
}

module.exports = { pathOf, run, runAll }
