'use strict'

const native = require('./addon.js')
const { Audio, isAudio, layoutOf } = require('./audio.js')
const { Decoder, Encoder } = require('./live.js')
const { EventStream, Subscription } = require('./events.js')
const { invalid } = require('./error.js')
const { pathOf, run, runAll } = require('./input.js')

/** Options of the call itself, apart from those that go to the engine. */
function split(options = {}) {
  if (typeof options !== 'object' || options === null) throw invalid('options', options, 'an object')
  const { signal, onProgress, ...rest } = options
  return [{ signal, onProgress }, rest]
}

/** Options of a job: on whose behalf it runs, and the rest. */
function tenantOf({ tenant, ...rest }) {
  if (tenant !== undefined && typeof tenant !== 'string') throw invalid('tenant', tenant, 'a text')
  return [tenant, rest]
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
    const [call, given] = split(options)
    const [tenant, request] = tenantOf(given)
    const text = requestOf(input, output, request)
    const done = await run(input, call, (source, cancel, progress) =>
      this.#native.process(source, text, cancel, tenant, progress)
    )
    return JSON.parse(done)
  }

  async processToMemory(input, options) {
    const [call, given] = split(options)
    const [tenant, { format, ...request }] = tenantOf(given)
    if (format !== undefined) request.outputs = [{ format }]
    const text = requestOf(input, undefined, request)
    const done = await run(input, call, (source, cancel, progress) =>
      this.#native.processToMemory(source, text, cancel, tenant, progress)
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
    return JSON.parse(await this.#call('measure', input, options))
  }

  async analyse(input, options) {
    return JSON.parse(await this.#call('analyse', input, options))
  }

  async features(input, options) {
    const { analysis, features } = await this.#call('features', input, options)
    const named = features.map(({ name, bands, frames, data }) => [name, bands === undefined || bands === null ? data : rows(data, bands, frames)])
    return { analysis: JSON.parse(analysis), features: Object.fromEntries(named) }
  }

  async classify(input, options) {
    return JSON.parse(await this.#call('classify', input, options))
  }

  async recommend(input, options) {
    return JSON.parse(await this.#call('recommend', input, options))
  }

  async compare(reference, degraded, options) {
    const [call, given] = split(options)
    const [tenant, compare] = tenantOf(given)
    const text = JSON.stringify(compare)
    const compared = await runAll([reference, degraded], call, (sources, cancel, progress) =>
      this.#native.compare(...sources, text, cancel, tenant, progress)
    )
    return JSON.parse(compared)
  }

  async waveformPeaks(input, options) {
    return JSON.parse(await this.#call('waveformPeaks', input, options))
  }

  async waveformPng(input, options) {
    return this.#call('waveformPng', input, options)
  }

  async spectrogramPng(input, options) {
    return this.#call('spectrogramPng', input, options)
  }

  async analysisPage(input, options) {
    return JSON.parse(await this.#call('analysisPage', input, options))
  }

  async comparisonPage(before, after, options) {
    const [call, given] = split(options)
    const [tenant, { report, ...page }] = tenantOf(given)
    const text = JSON.stringify(page)
    const proof = report === undefined || report === null ? undefined : JSON.stringify(report)
    return runAll([before, after], call, (sources, cancel, progress) =>
      this.#native.comparisonPage(...sources, proof, text, cancel, tenant, progress)
    )
  }

  /** A call of the addon that takes an input, options as JSON, and what a job takes. */
  #call(what, input, options) {
    const [call, given] = split(options)
    const [tenant, rest] = tenantOf(given)
    const text = JSON.stringify(rest)
    return run(input, call, (source, cancel, progress) => this.#native[what](source, text, cancel, tenant, progress))
  }

  async check(input, options) {
    const [call, given] = split(options)
    const [tenant, { specifications = [], ...read }] = tenantOf(given)
    const text = JSON.stringify(read)
    const names = [specifications].flat()
    const report = await run(input, call, (source, cancel, progress) =>
      this.#native.check(source, names, text, cancel, tenant, progress)
    )
    return JSON.parse(report)
  }

  async decode(input, options) {
    return Audio.fromNative(await this.#call('decode', input, options))
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
    return runAll([], call, (_, cancel) =>
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

  /** All figures as OpenMetrics text. */
  metrics() {
    return this.#native.metrics()
  }

  /** What a probe answers: `live`, `ready`, `startup`; without one everything. */
  async health(probe) {
    return JSON.parse(await this.#native.health(probe === undefined || probe === null ? undefined : String(probe)))
  }

  /** What jobs hold of the budgets. */
  usage() {
    return JSON.parse(this.#native.usage())
  }

  /** Hands log records of `level` and above to `callback`; without one sets the level, and with `off` ends it. */
  log(level, callback) {
    if (callback === undefined || callback === null) return this.#native.log(String(level))
    if (typeof callback !== 'function') throw invalid('callback', callback, 'a function')
    this.#native.log(String(level), (text, lost) => {
      if (lost > 0) callback(lostRecord(lost))
      callback(JSON.parse(text))
    })
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

/** The rows of a matrix, which share its memory. */
function rows(data, bands, frames) {
  return Array.from({ length: bands }, (_, band) => data.subarray(band * frames, (band + 1) * frames))
}

/** A record of records that came faster than they were taken. */
function lostRecord(lost) {
  const message = `${lost} records were lost: they came faster than they were taken`
  return { time_ms: Date.now(), level: 'warn', target: 'pure_sound_node', message, fields: { lost }, spans: [] }
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
