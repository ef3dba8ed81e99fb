'use strict'
// Runs tests/parity/cases.json, as every language does (see the README there), and checks tests/parity/api.json both ways.
// Prints what differs, then `parity: N cases`.

const { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { Stream } = require('node:stream')
const ps = require('..')
const { join, root, sha256, signal } = require('./helpers.js')

// Paths of requests are relative to the root.
process.chdir(root)
const table = (name) => JSON.parse(readFileSync(path.join(root, 'tests', 'parity', name), 'utf8'))

/** An input of a case. */
function inputOf(input) {
  if (input.signal !== undefined) return signal(input.signal)
  if (input.base64 !== undefined) return Buffer.from(input.base64, 'base64')
  if (input.path !== undefined) return input.path
  const file = path.join(root, input.file)
  if (!input.memory && input.damage === undefined && input.keep_bytes === undefined) return file
  let bytes = readFileSync(file)
  for (const { at, xor, count } of input.damage ?? []) {
    for (let i = at; i < Math.min(at + count, bytes.length); i++) bytes[i] ^= xor
  }
  if (input.keep_bytes !== undefined) bytes = bytes.subarray(0, input.keep_bytes)
  return bytes
}

const engineOf = (args) => new ps.Engine(args.settings)
const given = (args, ...names) => Object.fromEntries(names.filter((name) => args[name] !== undefined).map((name) => [name, args[name]]))

async function process_(engine, args, call = {}) {
  const { input: named, ...request } = args.request
  const input = args.input === undefined ? path.join(root, named) : inputOf(args.input)
  const inMemory = (request.outputs ?? []).length > 0 && request.outputs.every((output) => output.path === undefined)
  if (inMemory) return engine.processToMemory(input, { ...request, ...call })
  const report = await engine.process(input, null, { ...request, ...call })
  return { report, outputs: report.outputs.map((output) => readFileSync(output.path)) }
}

/** The blocks of audio, shorter where a border comes first: place and samples. */
function* blocksOf(audio, size = 480, borders = []) {
  for (let at = 0; at < audio.frames; ) {
    const border = Math.min(...borders.filter((b) => b > at), Infinity)
    const end = Math.min(at + size, border, audio.frames)
    yield [at, audio.channels.map((channel) => channel.slice(at, end))]
    at = end
  }
}

const woven = (channels, audio) => new ps.Audio(channels, audio).toInterleaved()
const hashOf = (blocks) => (blocks.length === 0 ? sha256(Buffer.alloc(0)) : sha256(join(blocks)))
const framesOf = (blocks) => blocks.reduce((sum, block) => sum + block.frames, 0)
const written = ({ data, ...encoded }, bytes) => ({ encoded, bytes: bytes.length, sha256: sha256(bytes) })
const foundIn = (html, texts) => Object.fromEntries((texts ?? []).map((text) => [text, html.includes(text)]))
const finite = (number) => (Number.isFinite(number) ? number : null)

const operations = {
  version: () => ({ version: ps.version() }),
  error_table: () => ({ errors: ps.errorTable().map(({ number, code, kind }) => ({ code: number, name: code, kind })) }),
  presets: (args) => ({ names: engineOf(args).presets().map((preset) => preset.name) }),
  preset: (args) => engineOf(args).preset(args.preset),
  filters: (args) => ({ count: ps.filters().length, ...(args.filter === undefined ? {} : { filter: ps.filters(args.filter) }) }),
  schema: (args) => (args.schema === undefined ? { names: Object.keys(ps.schema()) } : ps.schema(args.schema)),
  recipe: (args) => engineOf(args).recipe(args.request),
  config: (args) => engineOf(args).config(),
  probe: (args) => engineOf(args).probe(inputOf(args.input), args.options),
  tags: (args) => engineOf(args).tags(inputOf(args.input), args.options),
  measure: (args) => engineOf(args).measure(inputOf(args.input), args.options),
  analyse: (args) => engineOf(args).analyse(inputOf(args.input), args.options),
  check: ({ input, specifications, options, ...args }) => engineOf(args).check(inputOf(input), { specifications, ...options }),
  classify: (args) => engineOf(args).classify(inputOf(args.input), args.options),
  recommend: (args) => engineOf(args).recommend(inputOf(args.input), args.options),
  compare: (args) => engineOf(args).compare(inputOf(args.reference), inputOf(args.degraded), args.options),
  waveform_peaks: (args) => engineOf(args).waveformPeaks(inputOf(args.input), args.options),
  plan: (args) => engineOf(args).plan(inputOf(args.input), null, args.request),

  async picture(args) {
    const draw = { waveform: 'waveformPng', spectrogram: 'spectrogramPng' }[args.of]
    if (draw === undefined) throw new Error(`a picture of '${args.of}'`)
    const png = await engineOf(args)[draw](inputOf(args.input), args.options)
    return { bytes: png.length, sha256: sha256(png), width: png.readUInt32BE(16), height: png.readUInt32BE(20) }
  },

  async page(args) {
    const { html, analysis, check } = await engineOf(args).analysisPage(inputOf(args.input), args.options)
    return { found: foundIn(html, args.find), analysis, check }
  },

  async page_of_two(args) {
    const [engine, before] = [engineOf(args), inputOf(args.before)]
    const page = async (after, options) => ({ found: foundIn(await engine.comparisonPage(before, after, options), args.find) })
    if (args.request === undefined) return page(inputOf(args.after), args.options)
    const { outputs, report } = await engine.processToMemory(before, args.request)
    return page(outputs[0], { ...args.options, report })
  },

  async process(args) {
    const { report, outputs } = await process_(engineOf(args), args)
    return { report, outputs: outputs.map((bytes) => ({ bytes: bytes.length, sha256: sha256(bytes) })) }
  },

  async decode(args) {
    const audio = await engineOf(args).decode(inputOf(args.input), args.options)
    const { rate_hz, layout, frames } = audio
    return { rate_hz, channels: audio.channels.length, layout, frames, sha256: sha256(audio) }
  },

  async encode(args) {
    const [engine, audio, options] = [engineOf(args), signal(args.signal), given(args, 'format', 'metadata')]
    if (args.path !== undefined) return written(await engine.encode(audio, args.path, options), readFileSync(args.path))
    const { encoded, data } = await engine.encodeToMemory(audio, options)
    return written(encoded, data)
  },

  chain(args) {
    const audio = signal(args.signal)
    const max_frames = args.max_frames ?? args.block_frames ?? 480
    const chain = new ps.Chain(args.filters, { rate_hz: audio.rate_hz, layout: audio.layout, max_frames })
    const changes = args.changes ?? []
    const pass = () => {
      const done = []
      for (const [at, channels] of blocksOf(audio, args.block_frames, changes.map((change) => change.at_frame))) {
        for (const { filter, parameter, value } of changes.filter((change) => change.at_frame === at)) {
          chain.setParameter(filter, parameter, value)
        }
        if (args.interleaved) done.push(ps.Audio.fromInterleaved(chain.processInterleaved(woven(channels, audio)), audio))
        else done.push(new ps.Audio(chain.process(channels), audio))
      }
      return args.finish ? [...done, ...chain.finish()] : done
    }
    const done = pass()
    const result = {
      frames: framesOf(done),
      latency_frames: chain.latencyFrames,
      tail_frames: chain.tailFrames,
      sha256: hashOf(done),
    }
    if (args.reset) {
      chain.reset()
      result.again = hashOf(pass())
    }
    return result
  },

  meter(args) {
    const audio = signal(args.signal)
    const meter = new ps.Meter({ rate_hz: audio.rate_hz, layout: audio.layout, ...args.options })
    for (const [, channels] of blocksOf(audio, args.block_frames)) {
      if (args.interleaved) meter.pushInterleaved(woven(channels, audio))
      else meter.push(channels)
    }
    return {
      momentary_lufs: finite(meter.momentaryLufs),
      short_term_lufs: finite(meter.shortTermLufs),
      integrated_lufs: finite(meter.integratedLufs),
      summary: meter.summary(),
    }
  },

  resample(args) {
    const audio = signal(args.signal)
    const { rate_hz, layout } = audio
    const resampler = new ps.Resampler({ in_rate_hz: rate_hz, out_rate_hz: args.to_rate_hz, layout, ...given(args, 'quality') })
    const done = []
    const spec = { rate_hz: args.to_rate_hz, layout }
    for (const [, channels] of blocksOf(audio, args.block_frames)) {
      if (!args.interleaved) done.push(resampler.process(channels))
      else done.push(ps.Audio.fromInterleaved(resampler.processInterleaved(woven(channels, audio)), spec))
    }
    done.push(args.interleaved ? ps.Audio.fromInterleaved(resampler.finishInterleaved(), spec) : resampler.finish())
    return { frames: framesOf(done), sha256: hashOf(done) }
  },

  async stream_decode(args) {
    const decoder = await engineOf(args).open(inputOf(args.input), args.options)
    if (args.seek !== undefined) await decoder.seek(args.seek)
    const done = []
    let left = args.limit_frames ?? Infinity
    while (left > 0) {
      const count = Math.min(args.max_frames ?? 4096, left)
      let block
      if (args.interleaved) {
        const samples = await decoder.readInterleaved(count)
        block = samples && ps.Audio.fromInterleaved(samples, decoder.info.spec)
      } else {
        block = await decoder.read(count)
      }
      if (block === null) break
      done.push(block)
      left -= block.frames
    }
    const { info, damage } = decoder
    decoder.close()
    return { info, frames: framesOf(done), sha256: hashOf(done), damage }
  },

  async stream_encode(args) {
    const audio = signal(args.signal)
    const { rate_hz, layout } = audio
    const encoder = await engineOf(args).encoder(args.path ?? null, { rate_hz, layout, ...given(args, 'format', 'metadata') })
    for (const [at, channels] of blocksOf(audio, args.block_frames)) {
      if (at >= (args.abort_at_frame ?? Infinity)) {
        encoder.abort()
        return { aborted: true }
      }
      if (args.interleaved) await encoder.writeInterleaved(woven(channels, audio))
      else await encoder.write(channels)
    }
    const encoded = await encoder.finish()
    return written(encoded, encoded.data ?? readFileSync(args.path))
  },

  async events(args) {
    const engine = engineOf(args)
    const pattern = args.pattern ?? 'process.*'
    const heard = []
    if (args.poll) {
      const stream = engine.events(pattern)
      await process_(engine, args)
      // The most urgent comes first, so the end may come before the stages; nothing else comes after the run.
      for (let quiet = 0; quiet < 50; quiet++) {
        const there = stream.poll()
        heard.push(...there)
        if (there.length > 0) quiet = 0
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await stream.return()
    } else {
      const subscription = engine.subscribe(pattern, (delivery) => heard.push(delivery))
      await process_(engine, args)
      while (subscription.stats.waiting > 0 || !heard.some((d) => d.topic === 'process.finished')) {
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      subscription.close()
    }
    heard.sort((a, b) => a.sequence - b.sequence)
    return {
      topics: heard.map((d) => d.topic),
      stages: heard.filter((d) => d.topic === 'process.stage').map((d) => d.payload.stage),
      outcome: heard.find((d) => d.topic === 'process.finished').payload.outcome,
    }
  },

  async progress(args) {
    const engine = engineOf(args)
    const heard = []
    const onProgress = ({ fraction }) => void heard.push(fraction)
    if (args.of === 'measure') await engine.measure(inputOf(args.input), { ...args.options, onProgress })
    else if (args.of === 'check') await engine.check(inputOf(args.input), { ...args.options, onProgress })
    else if (args.of === 'analyse') await engine.analyse(inputOf(args.input), { ...args.options, onProgress })
    else if (args.of === 'decode') await engine.decode(inputOf(args.input), { ...args.options, onProgress })
    else await process_(engine, args, { onProgress })
    return {
      called: heard.length > 0,
      monotone: heard.every((fraction, i) => i === 0 || fraction >= heard[i - 1]),
      in_range: heard.every((fraction) => fraction >= 0 && fraction <= 1),
      last: heard.at(-1),
    }
  },

  async metrics(args) {
    const engine = engineOf(args)
    if (args.request !== undefined) await process_(engine, args)
    const text = engine.metrics()
    const [families, samples] = [{}, {}]
    for (const line of text.split('\n')) {
      const kind = /^# TYPE (\S+) (\S+)$/.exec(line)
      if (kind !== null) families[kind[1]] = kind[2]
      else if (line !== '' && !line.startsWith('#') && !line.includes(' # ')) {
        const at = line.lastIndexOf(' ')
        samples[line.slice(0, at)] = line.slice(at + 1)
      }
    }
    return { families, samples, ended: text.endsWith('# EOF\n') }
  },

  health: (args) => engineOf(args).health(args.probe),

  async usage(args) {
    const engine = engineOf(args)
    if (args.request !== undefined) await process_(engine, args)
    return engine.usage()
  },

  async jobs(args) {
    const engine = engineOf(args)
    if (args.signal !== undefined) await engine.encode(signal(args.signal), args.path)
    const jobs = new ps.Jobs(args.database, { engine })
    try {
      if (args.gate !== undefined) await jobs.setGate(args.gate.scope, args.gate.gate)
      if (args.get !== undefined) return await jobs.get(args.get)
      const { requests, ...options } = args.submission
      const made = await jobs.submit(requests, options)
      const ids = made.jobs.map(({ id }) => id)
      const each = (list, act) => Promise.all((list ?? []).map(act))
      const cancelled = await each(args.cancel, (index) => jobs.cancel(ids[index], 'by the case'))
      await each(args.retry, (index) => jobs.retry(ids[index]))
      const listed = (await jobs.list(args.filter)).length
      let [over, handedBack] = [false, 0]
      if (args.start !== undefined) {
        jobs.start(args.start)
        over = await jobs.wait(ids, { timeout_s: 60 })
        handedBack = await jobs.stop()
      }
      const records = await each(ids, (id) => jobs.get(id))
      const lives = await each(ids, (id) => jobs.history(id))
      const batch = made.batch === null ? null : await jobs.batch(made.batch)
      return {
        duplicates: made.jobs.map(({ duplicate }) => duplicate),
        cancelled,
        listed,
        over,
        handed_back: handedBack,
        states: records.map(({ state }) => state),
        errors: records.map(({ error }) => error && error.name),
        priorities: records.map(({ spec }) => spec.priority),
        steps: lives.map((life) => life.map(({ to }) => to)),
        batch: batch && { name: batch.name, states: batch.states },
        stats: (await jobs.stats()).states,
      }
    } finally {
      await jobs.close()
    }
  },

  async cancel(args) {
    // JavaScript cancels by a signal, whose reason comes back; the reason here is the engine's error for it.
    const engine = engineOf(args)
    if (args.when === 'progress') return process_(engine, args, { onProgress: () => false })
    const controller = new AbortController()
    controller.abort()
    const aborted = await process_(engine, args, { signal: controller.signal }).catch((error) => error)
    if (aborted !== controller.signal.reason) throw new Error(`not the reason of the signal: ${aborted}`)
    return process_(engine, args, { onProgress: () => false })
  },
}

/** The first difference between what a case has and what came, in words. */
function difference(place, expected, got, tolerance) {
  const differs = `${place}: ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`
  if (typeof expected === 'number') {
    return typeof got === 'number' && (got === expected || Math.abs(got - expected) <= tolerance) ? undefined : differs
  }
  if (typeof expected !== 'object' || expected === null) return got === expected ? undefined : differs
  if (typeof got !== 'object' || got === null || Array.isArray(got) !== Array.isArray(expected)) return differs
  if (Array.isArray(expected) && got.length !== expected.length) return differs
  for (const key of Object.keys(expected)) {
    if (!(key in got)) return `${place}.${key}: missing`
    const found = difference(`${place}.${key}`, expected[key], got[key], tolerance)
    if (found !== undefined) return found
  }
  return undefined
}

/** An error as the cases have it: the record of the core. */
const recordOf = (error) => ({
  code: error.number,
  name: error.code,
  kind: error.kind,
  message: error.message,
  details: error.details,
  causes: error.cause === undefined ? [] : [error.cause.message],
})

async function runCase(test, folder) {
  const operation = operations[test.op]
  if (operation === undefined) return `unknown operation ${test.op}`
  const args = JSON.parse(JSON.stringify(test.args ?? {}).replaceAll('{dir}', folder))
  const expected = test.expect ?? test.error
  if (expected === undefined || (test.expect !== undefined && test.error !== undefined)) return 'expects neither or both'
  let got
  try {
    got = await operation(args)
    if (test.error !== undefined) return `gave ${JSON.stringify(got)} instead of an error`
  } catch (error) {
    if (!(error instanceof ps.PureSoundError) || test.expect !== undefined) return `failed: ${error.stack}`
    got = recordOf(error)
  }
  const here = JSON.parse(JSON.stringify(expected).replaceAll('{dir}', folder))
  const found = difference('', here, JSON.parse(JSON.stringify(got)), test.tolerance ?? 0)
  if (found !== undefined || test.files === undefined) return found
  return difference('files', test.files, readdirSync(folder).sort(), 0)
}

/** What is wrong between api.json and the package. */
function checkNames() {
  const said = new Set(table('api.json').api.map((row) => row.node).filter((name) => name !== null))
  const classes = Object.keys(ps).filter((name) => /^[A-Z]/.test(name))
  const functions = Object.keys(ps).filter((name) => !/^[A-Z]/.test(name))
  const members = new Map()
  for (const name of classes) {
    const made = ps[name]
    const own = [...Object.getOwnPropertyNames(made.prototype), ...Object.getOwnPropertyNames(made).filter((n) => typeof made[n] === 'function')]
    for (const member of own) members.set(`${name}.${member}`, true)
  }
  // Fields of instances.
  const audio = new ps.Audio([new Float32Array(1)], { rate_hz: 8000 })
  for (const field of Object.keys(audio)) members.set(`Audio.${field}`, true)
  const own = new Set(table('api.json').node_only)
  const problems = []
  for (const name of [...said, ...own]) {
    if (!members.has(name) && !classes.includes(name) && !functions.includes(name)) problems.push(`api.json: ${name} is not there`)
  }
  // Beyond the table: what only JavaScript has. Functions of the module are methods of its default engine.
  const engine = Object.getOwnPropertyNames(ps.Engine.prototype)
  const known = (name) => said.has(name) || own.has(name) || engine.includes(name)
  problems.push(...[...classes, ...functions].filter((name) => !known(name)).map((name) => `${name} is not in api.json`))
  for (const name of members.keys()) {
    const [owner, member] = name.split('.')
    // The streams' other methods are those of Node.
    if (member === 'constructor' || member.startsWith('_') || ps[owner].prototype instanceof Stream) continue
    if (!said.has(name) && !own.has(name)) problems.push(`${name} is not in api.json`)
  }
  return problems
}

async function main() {
  const { cases } = table('cases.json')
  const only = process.argv[2]
  const problems = checkNames()
  const top = mkdtempSync(path.join(os.tmpdir(), 'pure-sound-parity-'))
  let count = 0
  try {
    for (const [index, test] of cases.entries()) {
      if (only !== undefined && !test.name.includes(only)) continue
      const folder = path.join(top, String(index))
      mkdirSync(folder)
      const found = await runCase(test, folder)
      if (found !== undefined) problems.push(`${test.name}: ${found}`)
      count += 1
    }
  } finally {
    rmSync(top, { recursive: true, force: true })
  }
  for (const problem of problems) console.log(`FAILED: ${problem}`)
  process.exitCode = problems.length > 0 ? 1 : 0
  console.log(`parity: ${count} cases`)
}

main()
