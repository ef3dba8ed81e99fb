'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const path = require('node:path')
const test = require('node:test')
const { Worker } = require('node:worker_threads')
const ps = require('..')
const { media, sha256 } = require('./helpers.js')

const module_ = JSON.stringify(path.join(__dirname, '..'))
const speech = JSON.stringify(media('speech.flac'))

function once(worker, event) {
  return new Promise((resolve, reject) => worker.once(event, resolve).once('error', reject))
}

test('works in workers, with errors of their own class', async () => {
  const code = `
    const { parentPort } = require('node:worker_threads')
    const ps = require(${module_})
    ps.decode(${speech}).then(async (audio) => {
      let error
      try { ps.preset('x') } catch (e) { error = e }
      const chain = new ps.Chain(['gain:gain_db=-6'], audio)
      chain.process(audio)
      parentPort.postMessage({ audio: audio.toInterleaved(), ours: error instanceof ps.PureSoundError, code: error.code })
    })`
  const audio = await ps.decode(media('speech.flac'))
  new ps.Chain(['gain:gain_db=-6'], audio).process(audio)
  const workers = Array.from({ length: 4 }, () => new Worker(code, { eval: true }))
  for (const message of await Promise.all(workers.map((worker) => once(worker, 'message')))) {
    assert.deepEqual([message.ours, message.code], [true, 'UNKNOWN_NAME'])
    assert.equal(sha256(Buffer.from(message.audio.buffer)), sha256(audio))
  }
})

test('workers that are terminated in the middle of jobs leave the process whole', async () => {
  // In a process of its own, whose exit code tells of a crash.
  const inner = `
    const { parentPort } = require('node:worker_threads')
    const { createReadStream } = require('node:fs')
    const ps = require(${module_})
    const engine = ps.defaultEngine()
    engine.subscribe('**', () => {})
    ;(async () => { for await (const event of engine.events('**')) void event })()
    ps.measure(createReadStream(${speech})).catch(() => {})
    ps.compare(createReadStream(${speech}), createReadStream(${speech})).catch(() => {})
    ps.open(${speech}).then((decoder) => decoder.read())
    ps.processToMemory(${speech}, { preset: 'podcast', format: 'opus', onProgress: () => {} }).catch(() => {})
    parentPort.postMessage('busy')`
  const outer = `
    const { Worker } = require('node:worker_threads')
    const one = (wait) => new Promise((resolve) => {
      const worker = new Worker(${JSON.stringify(inner)}, { eval: true })
      worker.on('message', () => setTimeout(() => worker.terminate().then(resolve), wait))
    })
    ;(async () => {
      for (let round = 0; round < 10; round++) await Promise.all([0, 1, 5, 20].map((wait) => one(wait + round)))
      const ps = require(${module_})
      console.log((await ps.measure(${speech})).frames > 0)
    })()`
  const { status, stdout, stderr, signal } = spawnSync(process.execPath, ['-e', outer], { encoding: 'utf8', timeout: 240_000 })
  assert.deepEqual([status, signal, stdout, stderr], [0, null, 'true\n', ''])
})

test('a process with a job ends by itself when the job is done, and at once by exit()', () => {
  const run = (code) => spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 60_000 })
  const whole = run(`require(${module_}).measure(${speech}).then((m) => console.log(m.frames > 0))`)
  assert.deepEqual([whole.status, whole.stdout], [0, 'true\n'])
  const left = run(`require(${module_}).processToMemory(${speech}, { preset: 'podcast', format: 'opus' }); setTimeout(() => process.exit(3), 50)`)
  assert.deepEqual([left.status, left.signal], [3, null])
})
