'use strict'

// Metrics, health, log and budgets of an engine.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const test = require('node:test')
const ps = require('..')
const { media, signal } = require('./helpers.js')

const noise = signal({ kind: 'noise', frames: 48_000, channels: 2, gain: 0.25 })

/** Waits until something holds: log records come in turns of the event loop, from other threads. */
async function until(condition) {
  while (!condition()) await sleep(1)
}

test('metrics are OpenMetrics text and count runs', async () => {
  const engine = new ps.Engine()
  const count = () => {
    const line = engine.metrics().split('\n').find((l) => /^pure_sound_operations_total\{.*operation="process".*outcome="(ok|succeeded)"/.test(l))
    return line === undefined ? 0 : Number(line.split(' ')[1])
  }
  const before = count()
  await engine.processToMemory(noise, { format: 'wav' })
  await engine.processToMemory(noise, { format: 'wav' })
  assert.equal(count() - before, 2, engine.metrics())
  assert.match(engine.metrics(), /^# TYPE pure_sound_build info$/m)
  assert.match(engine.metrics(), /# EOF\n$/)
})

test('health by probe, without blocking', async () => {
  const engine = new ps.Engine()
  const promise = engine.health('live')
  assert(promise instanceof Promise)
  const live = await promise
  assert.deepEqual([live.status, live.releaseId], ['pass', ps.version()])
  assert(live.checks['engine:uptime'][0].observedValue >= 0)
  const all = await engine.health()
  const ready = await engine.health('ready')
  assert(['pass', 'warn', 'fail'].includes(ready.status))
  for (const name of [...Object.keys(ready.checks), 'engine:uptime']) assert(name in all.checks, name)
  assert.equal((await engine.health('startup')).status, 'pass')
  await assert.rejects(engine.health('lively'), { code: 'INVALID_VALUE' })
})

test('log records reach a callback from its level on; the level changes while it runs; another takes over; off ends it', async () => {
  const engine = new ps.Engine()
  const heard = []
  const run = () => engine.processToMemory(noise, { format: 'wav' })
  engine.log('debug', (record) => heard.push(record))
  await run()
  await until(() => heard.length > 0)
  await sleep(20)
  const levels = ['error', 'warn', 'info', 'debug', 'trace']
  for (const record of heard) {
    assert(levels.indexOf(record.level) <= levels.indexOf('debug'), record.level)
    assert.match(record.target, /^pure_sound/)
    assert.equal(typeof record.message, 'string')
    assert(Math.abs(record.time_ms - Date.now()) < 3_600_000)
    assert(Array.isArray(record.spans) && typeof record.fields === 'object')
  }
  // Quieter: a run that goes well has nothing to say.
  engine.log('error')
  heard.length = 0
  await run()
  await sleep(20)
  assert.deepEqual(heard, [])
  // Louder again, without a new callback.
  engine.log('debug')
  await run()
  await until(() => heard.length > 0)
  await sleep(20)
  heard.length = 0
  const other = []
  engine.log('debug', (record) => other.push(record))
  await run()
  await until(() => other.length > 0)
  assert.deepEqual(heard, [])
  engine.log('off')
  await sleep(20)
  other.length = 0
  await run()
  await sleep(20)
  assert.deepEqual(other, [])
  assert.throws(() => engine.log('loud'), (e) => e.code === 'INVALID_VALUE' && /trace/.test(e.details.allowed))
  assert.throws(() => engine.log('info', 3), { code: 'INVALID_VALUE' })
})

test('records that come faster than they are taken are lost, counted and told; jobs do not wait for them', async () => {
  const engine = new ps.Engine()
  const heard = []
  engine.log('info', (record) => heard.push(record))
  const short = signal({ kind: 'noise', frames: 100, gain: 0.25 })
  // Each run has at least one record to tell, and this thread takes none of them until more than may wait (1,024) are there.
  const runs = Array.from({ length: 1200 }, () => engine.processToMemory(short, { format: 'wav', verify: 'none' }))
  const finished = () => Number(/^pure_sound_operations_total\{operation="process",outcome="succeeded"\} (\d+)$/m.exec(engine.metrics())?.[1] ?? 0)
  while (finished() < runs.length) continue
  await Promise.all(runs)
  await engine.processToMemory(short, { format: 'wav', verify: 'none' })
  await until(() => heard.some((record) => record.target === 'pure_sound_node'))
  const [told] = heard.filter((record) => record.target === 'pure_sound_node')
  assert.equal(told.level, 'warn')
  const before = heard.indexOf(told)
  // Nobody is forgotten: what came before and what was lost is what there was.
  assert(before >= 1024 && before + told.fields.lost >= runs.length, `${before} and ${told.fields.lost}`)
})

test('a log does not keep the process alive', () => {
  const code = `const ps = require(${JSON.stringify(path.join(__dirname, '..'))}); new ps.Engine().log('trace', () => {}); console.log('end')`
  const { status, stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 30_000 })
  assert.deepEqual([status, stdout], [0, 'end\n'])
})

test('usage tells what is held; a tenant gets its share of it', async () => {
  const engine = new ps.Engine({ resources: { memory_mib: 64, tenant_share_percent: 1 } })
  const request = { format: 'opus', preset: 'podcast' }
  const { report } = await engine.processToMemory(media('speech.flac'), request)
  assert.equal(report.outputs.length, 1)
  const usage = engine.usage()
  assert.deepEqual([usage.holders, usage.granted, usage.refused], [0, 1, 0])
  const memory = usage.resources.find((r) => r.resource === 'memory')
  assert.deepEqual([memory.budget, memory.used], [64 << 20, 0])
  assert(memory.peak > (64 << 20) / 100)
  // The same job is more than one hundredth of the budget.
  const refused = (e) => e.code === 'LIMIT_EXCEEDED' && e.details.limit === 'memory_bytes'
  await assert.rejects(engine.processToMemory(media('speech.flac'), { ...request, tenant: 'a' }), refused)
  assert.equal(engine.usage().refused, 1)
  await assert.rejects(engine.measure(media('speech.flac'), { tenant: 3 }), { code: 'INVALID_VALUE' })
  // A tenant is no option of what takes nothing of the budgets.
  await assert.rejects(engine.probe(media('speech.flac'), { tenant: 'a' }), { code: 'INVALID_VALUE' })
  const free = new ps.Engine()
  assert.equal((await free.measure(media('speech.flac'), { tenant: 'a' })).frames, (await free.measure(media('speech.flac'))).frames)
  assert.equal((await free.decode(media('speech.flac'), { tenant: 'a' })).frames, (await free.decode(media('speech.flac'))).frames)
})
