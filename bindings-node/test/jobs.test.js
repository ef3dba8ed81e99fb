'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const { existsSync } = require('node:fs')
const path = require('node:path')
const test = require('node:test')
const { pathToFileURL } = require('node:url')
const ps = require('..')
const { media, temporary } = require('./helpers.js')

const input = media('speech.flac')

test('a batch in a file, done by threads', async () => {
  const folder = temporary()
  const jobs = new ps.Jobs(pathToFileURL(path.join(folder, 'jobs.db')))
  const outputs = ['a.flac', 'b.opus'].map((name) => path.join(folder, name))
  const made = await jobs.submit(outputs.map((output) => ({ input: pathToFileURL(input), output })), { batch: 'two' })
  const ids = made.jobs.map(({ id }) => id)
  assert.equal(await jobs.wait(ids, { timeout_s: 0.05 }), false)
  jobs.start({ workers: 2 })
  assert.equal(await jobs.wait(ids, { timeout_s: 120 }), true)
  assert.equal(await jobs.wait(), true)
  assert.equal(await jobs.stop(), 0)
  const states = []
  for await (const job of jobs) states.push(job.state)
  assert.deepEqual(states, ['succeeded', 'succeeded'])
  assert.deepEqual((await jobs.batch(made.batch)).states, { succeeded: 2 })
  assert(outputs.every((output) => existsSync(output)))
  await jobs.close()
  await assert.rejects(jobs.stats(), { code: 'CLOSED' })
})

test('jobs survive the process', async () => {
  const folder = temporary()
  const [database, output] = [path.join(folder, 'jobs.db'), path.join(folder, 'late.wav')]
  const code = `new (require(process.argv[1]).Jobs)(process.argv[2]).submit({ input: process.argv[3], output: process.argv[4] })`
  execFileSync(process.execPath, ['-e', code, path.join(__dirname, '..'), database, input, output])
  const jobs = new ps.Jobs(database)
  const [job] = await jobs.list()
  assert.equal(job.state, 'available')
  jobs.start({ workers: 1 })
  assert.equal(await jobs.wait(job.id, { timeout_s: 120 }), true)
  await jobs.close()
  assert(existsSync(output))
})

test('a wait is aborted, the jobs are not', async () => {
  const jobs = new ps.Jobs()
  const output = path.join(temporary(), 'a.wav')
  const made = await jobs.submit({ input, output }, { run_at_ms: 1e13 })
  const [{ id }] = made.jobs
  const controller = new AbortController()
  const waiting = jobs.wait(id, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  assert.equal((await jobs.get(id)).state, 'scheduled')
  assert.equal(await jobs.cancel(id, 'no more'), 'cancelled')
  await jobs.retry(id)
  await jobs.setGate('queue:default', 'paused')
  assert.deepEqual((await jobs.stats()).states, { available: 1 }) // a retry waits for no time
  await assert.rejects(jobs.wait(id, { timeout_s: -1 }), { code: 'INVALID_VALUE' })
  await assert.rejects(jobs.setGate('queue:default', 'ajar'), { code: 'INVALID_VALUE' })
  await assert.rejects(jobs.submit([]), { code: 'INVALID_VALUE' })
  assert.throws(() => new ps.Jobs(7), { code: 'INVALID_VALUE' })
  await jobs.close()
})
