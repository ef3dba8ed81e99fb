'use strict'

const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const test = require('node:test')
const ps = require('..')

const root = path.join(__dirname, '..')

test('lib/types.d.ts is what the schemas say', () => {
  const { status, stderr } = spawnSync(process.execPath, [path.join(root, 'scripts', 'types.js'), '--check'], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
})

test('a strict TypeScript program compiles, as ESM and as CommonJS', () => {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'test', 'types')], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

test('ESM and CommonJS give the same objects, and index.d.ts declares each', async () => {
  const esm = await import('../index.mjs')
  assert.equal(esm.default, ps)
  assert.deepEqual(Object.keys(esm).filter((name) => name !== 'default').sort(), Object.keys(ps).sort())
  for (const name of Object.keys(ps)) assert.equal(esm[name], ps[name])
  const types = readFileSync(path.join(root, 'index.d.ts'), 'utf8')
  const declared = [...types.matchAll(/^export (?:class|function|const) (\w+)/gm)].map((match) => match[1])
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(ps).sort())
})

test('members of classes are declared, and nothing is declared that is not there', () => {
  const types = readFileSync(path.join(root, 'index.d.ts'), 'utf8')
  for (const [, name, body] of types.matchAll(/^export class (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
    const made = ps[name]
    const real = Object.getOwnPropertyNames(made.prototype).filter((n) => !n.startsWith('_') && n !== 'constructor')
    const statics = Object.getOwnPropertyNames(made).filter((n) => typeof made[n] === 'function' && !n.startsWith('_'))
    const said = [...body.matchAll(/^ {2}(?:static )?(?:get )?(\w+)(?:<[^>]*>)?\(/gm)].map((m) => m[1]).filter((n) => n !== 'constructor')
    const inherited = name.endsWith('Stream') && name !== 'EventStream'
    const own = (n) => !(name === 'PureSoundError' && (n === 'fromRecord' || n === 'name')) && !(name === 'Audio' && n === 'fromNative')
    if (!inherited) assert.deepEqual([...new Set(said)].sort(), [...real, ...statics].filter(own).sort(), name)
  }
})

test('one version everywhere', () => {
  const { version } = require('../package.json')
  assert.equal(ps.version(), version)
  const cargo = readFileSync(path.join(root, '..', 'Cargo.toml'), 'utf8')
  assert.match(cargo, new RegExp(`^version = "${version}"$`, 'm'))
  assert.equal(JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')).version, version)
})

test('the lock file names no registry', () => {
  assert.doesNotMatch(readFileSync(path.join(root, 'package-lock.json'), 'utf8'), /https?:/)
})

test('platform packages are what the table says', () => {
  execFileSync(process.execPath, [path.join(root, 'scripts', 'platforms.js'), '--check'])
})
