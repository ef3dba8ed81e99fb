'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { setImmediate: turn } = require('node:timers/promises')
const test = require('node:test')
const ps = require('..')
const { media } = require('./helpers.js')

test('a run tells its stages, in order, to callbacks and iterators', async () => {
  const engine = new ps.Engine()
  const heard = []
  const subscription = engine.subscribe('process.*', (delivery) => heard.push(delivery))
  const stream = engine.events('process.finished')
  await engine.processToMemory(media('speech.flac'), { format: 'wav' })
  const { value: finished } = await stream.next()
  await stream.return()
  // The most urgent comes first, so the end may come before the stages.
  while (subscription.stats.waiting > 0 || !heard.some((d) => d.topic === 'process.finished')) await turn()
  await turn()
  heard.sort((a, b) => a.sequence - b.sequence)
  const topics = heard.map((d) => d.topic)
  assert.equal(topics[0], 'process.started')
  assert.equal(topics.at(-1), 'process.finished')
  assert(topics.includes('process.stage'))
  assert.equal(new Set(heard.map((d) => d.sequence)).size, heard.length)
  assert.equal(finished.payload.outcome, 'succeeded')
  assert.equal(finished.payload.run, heard[0].payload.run)
  assert(subscription.stats.delivered >= heard.length)
  subscription.close()
  assert.equal(subscription.stats, null)
})

test('events of the host, history, cursors, filters by topic', async () => {
  const engine = new ps.Engine()
  const numbers = [1, 2, 3].map((n) => engine.publish('host.counted', { n }))
  engine.publish('other.thing')
  assert.deepEqual(numbers, [1, 2, 3])
  const replayed = []
  for await (const event of engine.events('host.*', { start: 'oldest' })) {
    replayed.push(event)
    if (replayed.length === 3) break
  }
  assert.deepEqual(replayed.map((e) => e.payload.n), [1, 2, 3])
  assert(replayed.every((e) => e.replay))
  const after = engine.events('**', { start: { after: replayed[1].cursor } })
  assert.equal((await after.next()).value.sequence, 3)
  assert.equal((await after.next()).value.topic, 'other.thing')
  await after.return()
  const from = engine.events('**', { start: { sequence: 4 } })
  assert.equal((await from.next()).value.topic, 'other.thing')
  await from.return()
})

test('a slow reader is told how many events it lost', async () => {
  const engine = new ps.Engine()
  const stream = engine.events('flood.*', { lane_events: 16 })
  const sent = 5000
  for (let n = 0; n < sent; n++) engine.publish('flood.drop', n)
  let got = 0, lost = 0
  for await (const delivery of stream) {
    if (delivery.type === 'lagged') lost += delivery.lost
    else got += 1
    if (got + lost === sent) break
  }
  assert(lost > 0)
})

test('a signal ends both forms; mistakes are refused', async () => {
  const engine = new ps.Engine()
  const controller = new AbortController()
  const heard = []
  engine.subscribe('a.*', (d) => heard.push(d), { signal: controller.signal })
  const stream = engine.events('a.*', { signal: controller.signal })
  const waiting = stream.next()
  controller.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  await assert.rejects(stream.next(), { name: 'AbortError' })
  engine.publish('a.b')
  await turn()
  await turn()
  assert.deepEqual(heard, [])
  assert.throws(() => engine.subscribe('a.*', 3), { code: 'INVALID_VALUE' })
  assert.throws(() => engine.subscribe('', () => {}), { code: 'INVALID_VALUE' })
  assert.throws(() => engine.events('a.*', { classs: 'lossy' }), { code: 'INVALID_VALUE' })
  assert.throws(() => engine.publish('Not A Topic'), { code: 'INVALID_VALUE' })
})

test('handlers may unsubscribe and publish from within', async () => {
  const engine = new ps.Engine()
  let count = 0
  const subscription = engine.subscribe('loop.*', ({ payload }) => {
    count += 1
    if (payload === 5) subscription.close()
    else engine.publish('loop.next', payload + 1)
  })
  engine.publish('loop.next', 0)
  while (subscription.stats !== null) await turn()
  assert.equal(count, 6)
})

test('a subscription does not keep the process alive', () => {
  const code = `const ps = require(${JSON.stringify(path.join(__dirname, '..'))}); new ps.Engine().subscribe('**', () => {}); console.log('end')`
  const { status, stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 30_000 })
  assert.deepEqual([status, stdout], [0, 'end\n'])
})
