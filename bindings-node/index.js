'use strict'

const native = require('./lib/addon.js')
const { Audio } = require('./lib/audio.js')
const { Engine, defaultEngine } = require('./lib/engine.js')
const { PureSoundError } = require('./lib/error.js')
const { EventStream, Subscription } = require('./lib/events.js')
const { Jobs } = require('./lib/jobs.js')
const { Chain, Decoder, Encoder, Meter, Resampler } = require('./lib/live.js')
const streams = require('./lib/streams.js')

module.exports = {
  Audio,
  Chain,
  ChainStream: streams.ChainStream,
  DecodeStream: streams.DecodeStream,
  Decoder,
  EncodeStream: streams.EncodeStream,
  Encoder,
  Engine,
  EventStream,
  Jobs,
  Meter,
  PureSoundError,
  Resampler,
  Subscription,
  analyse: (input, options) => defaultEngine().analyse(input, options),
  analysisPage: (input, options) => defaultEngine().analysisPage(input, options),
  chainStream: streams.chainStream,
  check: (input, options) => defaultEngine().check(input, options),
  compare: (reference, degraded, options) => defaultEngine().compare(reference, degraded, options),
  comparisonPage: (before, after, options) => defaultEngine().comparisonPage(before, after, options),
  decode: (input, options) => defaultEngine().decode(input, options),
  decodeStream: streams.decodeStream,
  defaultEngine,
  encode: (audio, path, options) => defaultEngine().encode(audio, path, options),
  encodeStream: streams.encodeStream,
  encodeToMemory: (audio, options) => defaultEngine().encodeToMemory(audio, options),
  errorTable: () => JSON.parse(native.errorTable()).map(([number, code, kind]) => ({ number, code, kind })),
  features: (input, options) => defaultEngine().features(input, options),
  filters: (name) => JSON.parse(native.filters(name)),
  measure: (input, options) => defaultEngine().measure(input, options),
  open: (input, options) => defaultEngine().open(input, options),
  plan: (input, output, options) => defaultEngine().plan(input, output, options),
  preset: (name) => defaultEngine().preset(name),
  presets: () => defaultEngine().presets(),
  probe: (input, options) => defaultEngine().probe(input, options),
  process: (input, output, options) => defaultEngine().process(input, output, options),
  processToMemory: (input, options) => defaultEngine().processToMemory(input, options),
  recipe: (request) => defaultEngine().recipe(request),
  classify: (input, options) => defaultEngine().classify(input, options),
  recommend: (input, options) => defaultEngine().recommend(input, options),
  schema: (name) => JSON.parse(native.schema(name)),
  spectrogramPng: (input, options) => defaultEngine().spectrogramPng(input, options),
  tags: (input, options) => defaultEngine().tags(input, options),
  version: native.version,
  waveformPeaks: (input, options) => defaultEngine().waveformPeaks(input, options),
  waveformPng: (input, options) => defaultEngine().waveformPng(input, options),
}
