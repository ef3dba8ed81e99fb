'use strict'
// Writes the packages of the platforms, npm/*/package.json, and the optional dependencies of the main package on them.
//
//   node scripts/platforms.js [--check]
//
// A release builds each addon on its platform (or by cargo-zigbuild for an old glibc), puts it into its folder under npm/ and publishes
// that folder, then the main package.

const { mkdirSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')

/** npm's os, cpu and libc, and Rust's target. */
const PLATFORMS = {
  'linux-x64-gnu': { os: 'linux', cpu: 'x64', libc: 'glibc', target: 'x86_64-unknown-linux-gnu' },
  'linux-arm64-gnu': { os: 'linux', cpu: 'arm64', libc: 'glibc', target: 'aarch64-unknown-linux-gnu' },
  'linux-x64-musl': { os: 'linux', cpu: 'x64', libc: 'musl', target: 'x86_64-unknown-linux-musl' },
  'linux-arm64-musl': { os: 'linux', cpu: 'arm64', libc: 'musl', target: 'aarch64-unknown-linux-musl' },
  'darwin-x64': { os: 'darwin', cpu: 'x64', target: 'x86_64-apple-darwin' },
  'darwin-arm64': { os: 'darwin', cpu: 'arm64', target: 'aarch64-apple-darwin' },
  'win32-x64-msvc': { os: 'win32', cpu: 'x64', target: 'x86_64-pc-windows-msvc' },
  'win32-arm64-msvc': { os: 'win32', cpu: 'arm64', target: 'aarch64-pc-windows-msvc' },
}

const root = path.join(__dirname, '..')
const main = require('../package.json')

function manifest(name, { os, cpu, libc, target }) {
  const addon = `pure-sound.${name}.node`
  return {
    name: `pure-sound-${name}`,
    version: main.version,
    description: `The addon of pure-sound for ${target}`,
    license: main.license,
    engines: main.engines,
    os: [os],
    cpu: [cpu],
    ...(libc === undefined ? {} : { libc: [libc] }),
    main: addon,
    files: [addon],
  }
}

const check = process.argv.includes('--check')
let stale = 0
function put(file, text) {
  if (!check) {
    mkdirSync(path.dirname(file), { recursive: true })
    return writeFileSync(file, text)
  }
  let there = ''
  try {
    there = readFileSync(file, 'utf8')
  } catch {}
  if (there !== text) {
    console.error(`${path.relative(root, file)} is not what scripts/platforms.js says`)
    stale += 1
  }
}

for (const [name, platform] of Object.entries(PLATFORMS)) {
  put(path.join(root, 'npm', name, 'package.json'), `${JSON.stringify(manifest(name, platform), null, 2)}\n`)
}
process.exitCode = stale > 0 ? 1 : 0

module.exports = { PLATFORMS, manifest }
