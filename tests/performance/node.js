'use strict'
// What the Node.js addon costs. Prints a line for each figure: name, value, goal, PASS or FAIL; exits with 1 when one fails.
//
//   node --expose-gc tests/performance/node.js        needs the addon: npm run build in bindings-node
//
// Figures of time mean something on a quiet machine only.

const { execFileSync } = require('node:child_process')
const { mkdtempSync, rmSync, statSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { monitorEventLoopDelay, performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const ps = require('../../bindings-node')
const { signal } = require('../../bindings-node/test/helpers.js')

let failed = 0
function tell(name, value, unit, goal, good) {
  if (!good) failed += 1
  console.log(`${name.padEnd(52)} ${value.padStart(8)} ${unit.padEnd(8)} goal ${goal.padEnd(12)} ${good ? 'PASS' : 'FAIL'}`)
}

/** Least time of one call in µs, over rounds of `count` calls. */
function least(call, count, rounds = 15) {
  let best = Infinity
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    for (let i = 0; i < count; i++) call()
    best = Math.min(best, (1000 * (performance.now() - start)) / count)
  }
  return best
}

function calls() {
  const chain = new ps.Chain(['gain:gain_db=-6'], { rate_hz: 48_000, channels: 2 })
  const block = [new Float32Array(64), new Float32Array(64)]
  const small = least(() => chain.parameter(0, 'gain_db'), 20_000)
  tell('smallest call: chain.parameter', small.toFixed(2), 'µs', '<= 3', small <= 3)
  const live = least(() => chain.process(block), 20_000)
  tell('chain.process, 64 frames of stereo', live.toFixed(2), 'µs', '<= 10', live <= 10)
}

function gain() {
  const audio = signal({ kind: 'noise', frames: 480_000, channels: 2, gain: 0.25 })
  const copy = audio.channels.map((channel) => new Float32Array(channel.length))
  const chain = new ps.Chain(['gain:gain_db=0.5'], audio)
  const copying = least(() => copy.forEach((to, c) => to.set(audio.channels[c])), 3, 60)
  // In place on the copy, so that the level does not rise without end: what is timed is one call on fresh samples.
  let processing = Infinity
  for (let round = 0; round < 60; round++) {
    copy.forEach((to, c) => to.set(audio.channels[c]))
    const start = performance.now()
    chain.process(copy)
    processing = Math.min(processing, 1000 * (performance.now() - start))
  }
  const share = copying / processing
  const names = `gain over 10 s of stereo (${processing.toFixed(0)} µs; copy ${copying.toFixed(0)} µs)`
  tell(names, share.toFixed(2), 'of copy', '>= 0.6', share >= 0.6)
}

async function lag() {
  const audio = signal({ kind: 'noise', frames: 48_000 * 90, channels: 2, gain: 0.25 })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const job = ps.processToMemory(audio, { filters: ['denoise_spectral', 'compressor'], level: { measure: 'loudness', integrated_lufs: -16, true_peak_dbtp: -1 }, format: 'mp3' })
  // The input was handed over in the call; from here on the loop has nothing to do.
  await sleep(20)
  const start = performance.now()
  delay.enable()
  await job
  delay.disable()
  // The timer itself waits a millisecond.
  const late = delay.percentile(99) / 1e6 - 1
  tell(`event loop lag during a job of ${((performance.now() - start) / 1000).toFixed(1)} s, p99`, late.toFixed(2), 'ms', '<= 5', late <= 5)
}

async function memory() {
  const engine = new ps.Engine({ engine: { threads: 1 }, events: { history_events: 100 } })
  const audio = signal({ kind: 'noise', frames: 24_000, channels: 2, gain: 0.25 })
  const { data } = await engine.encodeToMemory(audio, 'wav')
  const run = async (calls) => {
    for (let i = 0; i < calls; i++) {
      await engine.processToMemory(data, { format: 'wav', verify: 'none' })
      await engine.decode(data)
    }
    for (let i = 0; i < 3; i++) {
      global.gc()
      await sleep(1)
    }
    return process.memoryUsage.rss()
  }
  const before = await run(300)
  const grown = ((await run(2000)) - before) / (1 << 20)
  tell('memory over 2,000 jobs and decodes', grown.toFixed(1), 'MiB', '<= 24', grown <= 24)
}

/** Sizes of what is installed. */
function sizes() {
  const { platform } = require('../../bindings-node/lib/native.js')
  const root = path.join(__dirname, '..', '..', 'bindings-node')
  const mib = (file) => statSync(file).size / (1 << 20)
  const addon = mib(path.join(root, `pure-sound.${platform()}.node`))
  tell('addon, stripped', addon.toFixed(1), 'MiB', '<= 12', addon <= 12)
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pure-sound-sizes-'))
  try {
    const told = execFileSync(process.execPath, [path.join(root, 'scripts', 'pack.js'), folder], { encoding: 'utf8' })
    const packed = told.trim().split('\n').reduce((sum, file) => sum + mib(file), 0)
    tell('both packages, as they are downloaded', packed.toFixed(1), 'MiB', 'none', true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Loading the addon and making an engine, in fresh processes: the least of several, as the first reads from the disk. */
function load() {
  const code = `
    require('node:stream')
    const start = performance.now()
    const ps = require(${JSON.stringify(path.join(__dirname, '..', '..', 'bindings-node'))})
    const loaded = performance.now()
    new ps.Engine()
    console.log(loaded - start, performance.now() - loaded)`
  const rounds = Array.from({ length: 10 }, () => execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' }).split(' ').map(Number))
  const [loading, engine] = [0, 1].map((i) => Math.min(...rounds.map((round) => round[i])))
  tell('require', loading.toFixed(1), 'ms', '<= 20', loading <= 20)
  tell('an engine', engine.toFixed(1), 'ms', '<= 5', engine <= 5)
}

async function main() {
  sizes()
  load()
  calls()
  gain()
  await lag()
  await memory()
  process.exitCode = failed > 0 ? 1 : 0
}

main()
