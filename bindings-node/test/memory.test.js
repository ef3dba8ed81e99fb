'use strict'

// 2,000 calls of each kind need no more memory than the first few hundred did. The bounds are what one leaked block, file or error
// per call would exceed several times over.

const assert = require('node:assert/strict')
const { setImmediate: turn } = require('node:timers/promises')
const test = require('node:test')
const ps = require('..')
const { signal } = require('./helpers.js')

const CALLS = 2000
const MIB = 1 << 20
const BOUND = 24 * MIB

async function settle() {
  for (let i = 0; i < 3; i++) {
    global.gc()
    await turn()
  }
}

/**
 * Growth of the process over 2,000 calls after a warm-up of 300, in bytes: the least of three rounds. Allocators keep what they had at
 * their worst moment, which may come late, so one round may grow by some tens of MiB; a leak grows in every round.
 */
async function growth(call) {
  for (let i = 0; i < 300; i++) await call(i)
  await settle()
  let least = Infinity
  for (let round = 0; round < 3 && least >= BOUND; round++) {
    const before = process.memoryUsage.rss()
    for (let i = 0; i < CALLS; i++) await call(i)
    await settle()
    least = Math.min(least, process.memoryUsage.rss() - before)
  }
  return least
}

const audio = signal({ kind: 'noise', frames: 24_000, channels: 2, gain: 0.25 })
const engine = new ps.Engine({ engine: { threads: 1 }, events: { history_events: 100 } })
let wav

const kinds = {
  // Each call holds 190 KiB of samples: a leak would be 375 MiB.
  'decode': () => engine.decode(wav),
  'process to memory': () => engine.processToMemory(wav, { format: 'wav', verify: 'none' }),
  'decoder, by blocks': async () => {
    for await (const block of await engine.open(wav)) assert(block.frames > 0)
  },
  'chain in place, with turns': async () => {
    const chain = new ps.Chain(['highpass', 'compressor', 'limiter'], { engine, rate_hz: 48_000, channels: 2 })
    chain.process(audio.channels.map((channel) => channel.slice()))
    await turn()
  },
  'errors and aborts': async () => {
    await engine.probe(Buffer.alloc(10_000, 1)).catch(() => {})
    await engine.decode(wav, { signal: AbortSignal.abort() }).catch(() => {})
  },
  'subscriptions': async () => {
    const stream = engine.events('x.*')
    engine.publish('x.y', 'z'.repeat(1000))
    await stream.next()
    await stream.return()
  },
}

for (const [name, call] of Object.entries(kinds)) {
  test(`memory is flat over ${CALLS} calls: ${name}`, { skip: global.gc ? false : 'needs --expose-gc' }, async () => {
    wav ??= (await engine.encodeToMemory(audio, 'wav')).data
    const grown = await growth(call)
    assert(grown < BOUND, `grew by ${(grown / MIB).toFixed(1)} MiB`)
  })
}
