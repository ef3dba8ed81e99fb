'use strict'

const native = require('./addon.js')
const { Audio, isAudio, layoutOf } = require('./audio.js')
const { Decoder, Encoder } = require('./live.js')
const { EventStream, Subscription } = require('./events.js')
const { invalid } = require('./error.js')
const { pathOf, run } = require('./input.js')

/** Options of the call itself, apart from those that go to the engine. */
function split(options = {}) {
  if (typeof options !== 'object' || options === null) throw invalid('options', options, 'an object')
  const { signal, onProgress, ...rest } = options
  return [{ signal, onProgress }, rest]
}

/** A format by its name, or its settings. */
function formatOf(format) {
  return typeof format === 'string' ? { format } : (format ?? null)
}

/** An output: a path, a file: URL, or `{ path, format }`. */
function outputOf(output) {
  if (Array.isArray(output)) return output.map(outputOf)
  const path = pathOf(output)
  if (path !== undefined) return path
  if (typeof output !== 'object' || output === null) throw invalid('output', output, 'a path, a file: URL, { path, format }, or a list')
  const { path: where, format, ...rest } = output
  return {
    ...rest,
    ...(where === undefined ? {} : { path: pathOf(where) ?? where }),
    ...(format === undefined ? {} : { format: formatOf(format) }),
  }
}

/** The request of a job, as JSON. The input's path is told, so that an output over it is refused. */
function requestOf(input, output, request) {
  const path = pathOf(input)
  const whole = { ...request, ...(path === undefined ? {} : { input: path }) }
  if (output !== undefined && output !== null) whole.output = outputOf(output)
  else if (whole.output !== undefined) whole.output = outputOf(whole.output)
  if (whole.outputs !== undefined) whole.outputs = whole.outputs.map(outputOf)
  return JSON.stringify(whole)
}

/** An audio engine: presets, threads, events. Several know nothing of each other. */
class Engine {
  #native

  constructor(settings = {}) {
    this.#native = new native.Engine(JSON.stringify(settings))
  }

  /** The addon's engine, for the live objects. */
  get _native() {
    return this.#native
  }

  async process(input, output, options) {
    const [call, request] = split(options)
    const text = requestOf(input, output, request)
    return JSON.parse(await run(input, call, (source, cancel, progress) => this.#native.process(source, text, cancel, progress)))
  }

  async processToMemory(input, options) {
    const [call, { format, ...request }] = split(options)
    if (format !== undefined) request.outputs = [{ format }]
    const text = requestOf(input, undefined, request)
    const done = await run(input, call, (source, cancel, progress) =>
      this.#native.processToMemory(source, text, cancel, progress)
    )
    return { report: JSON.parse(done.report), outputs: done.outputs }
  }

  async plan(input, output, options) {
    const [call, request] = split(options)
    const text = requestOf(input, output, request)
    return JSON.parse(await run(input, call, (source, cancel) => this.#native.plan(source, text, cancel)))
  }

  async probe(input, options) {
    return JSON.parse(await this.#read('probe', input, options))
  }

  async tags(input, options) {
    return JSON.parse(await this.#read('tags', input, options))
  }

  async measure(input, options) {
    const [call, read] = split(options)
    const text = JSON.stringify(read)
    const measured = await run(input, call, (source, cancel, progress) =>
      this.#native.measure(source, text, cancel, progress)
    )
    return JSON.parse(measured)
  }

  async decode(input, options) {
    return Audio.fromNative(await this.#read('decode', input, options))
  }

  async open(input, options) {
    return new Decoder(await this.#read('open', input, options))
  }

  #read(what, input, options) {
    const [call, read] = split(options)
    const text = JSON.stringify(read)
    return run(input, call, (source, cancel) => this.#native[what](source, text, cancel))
  }

  async encode(audio, path, options) {
    if (pathOf(path) === undefined) throw invalid('path', path, 'a path or a file: URL')
    return JSON.parse((await this.#encode(audio, pathOf(path), options)).encoded)
  }

  async encodeToMemory(audio, options) {
    const { encoded, bytes } = await this.#encode(audio, null, options)
    return { encoded: JSON.parse(encoded), data: bytes }
  }

  #encode(audio, path, options) {
    const [call, { format, metadata, ...unknown }] = split(typeof options === 'string' ? { format: options } : options)
    refuse(unknown, 'format, metadata, signal')
    if (!isAudio(audio)) throw invalid('audio', audio, 'audio: { rate_hz, layout, channels }')
    const [kind, tags] = [JSON.stringify(formatOf(format)), JSON.stringify(metadata ?? null)]
    return run(undefined, call, (_, cancel) =>
      this.#native.encode(audio.rate_hz, layoutOf(audio), audio.channels, path ?? undefined, kind, tags, cancel)
    )
  }

  /** An encoder for blocks: to a path, or without one (null) to memory. */
  async encoder(path, options) {
    const target = path === null || path === undefined ? 'memory' : 'file'
    return Encoder._create(this.#native, target, pathOf(path), options)
  }

  /** An encoder whose bytes are handed over as they come; for `encodeStream`. */
  _streamEncoder(options) {
    return Encoder._create(this.#native, 'stream', undefined, options)
  }

  presets() {
    return JSON.parse(this.#native.presets())
  }

  preset(name) {
    return JSON.parse(this.#native.preset(String(name)))
  }

  recipe(request = {}) {
    // What is no object is refused by the engine.
    const plain = typeof request === 'object' && request !== null && !Array.isArray(request)
    return JSON.parse(this.#native.recipe(plain ? requestOf(undefined, undefined, request) : JSON.stringify(request ?? null)))
  }

  config() {
    return JSON.parse(this.#native.config())
  }

  subscribe(pattern, handler, options) {
    return new Subscription(this.#native, pattern, handler, options)
  }

  events(pattern = '**', options = {}) {
    return new EventStream(this.#native, pattern, options)
  }

  publish(topic, payload) {
    return this.#native.publish(topic, JSON.stringify(payload ?? null))
  }
}

/** Refuses options that nothing reads. */
function refuse(unknown, allowed) {
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw invalid('option', name, allowed)
}

let shared
/** The engine of the functions of this module, and of live objects that were given none. */
function defaultEngine() {
  shared ??= new Engine()
  return shared
}

module.exports = { Engine, defaultEngine, formatOf, refuse }
