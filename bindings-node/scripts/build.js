'use strict'
// Builds the addon with cargo and puts it beside index.js.
//
//   node scripts/build.js [--if-missing] [--dev]
//
// --if-missing: only when there is none yet. --dev: cargo's dev profile, for work on the addon.

const { spawnSync } = require('node:child_process')
const { copyFileSync, existsSync, renameSync } = require('node:fs')
const path = require('node:path')
const { platform } = require('../lib/native.js')

const root = path.join(__dirname, '..')
const target = path.join(root, `pure-sound.${platform()}.node`)
const has = (flag) => process.argv.includes(flag)

// A package from the registry has no sources: the addon is in the package of the platform.
if (!existsSync(path.join(root, 'Cargo.toml')) || (has('--if-missing') && existsSync(target))) process.exit(0)

const profile = has('--dev') ? [] : ['--release']
const build = spawnSync('cargo', ['build', '--locked', '--package', 'pure-sound-node', '--message-format=json-render-diagnostics', ...profile], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
  encoding: 'utf8',
  maxBuffer: 1 << 28,
})
if (build.error) {
  console.error(`pure-sound is built from source here and needs Rust (https://rustup.rs): ${build.error.message}`)
  process.exit(1)
}
if (build.status !== 0) process.exit(build.status ?? 1)

// Cargo tells where the library is, wherever its target folder may be.
const made = build.stdout
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .find((message) => message.reason === 'compiler-artifact' && message.target.kind.includes('cdylib') && message.target.name === 'pure_sound_node')
if (!made) {
  console.error('cargo told of no library')
  process.exit(1)
}
const library = made.filenames.find((name) => /\.(so|dylib|dll)$/.test(name))
// By a rename, so that a process that has the old one mapped keeps it.
copyFileSync(library, `${target}.new`)
renameSync(`${target}.new`, target)
console.log(path.relative(process.cwd(), target))
