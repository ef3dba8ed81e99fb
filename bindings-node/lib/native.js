'use strict'
// Finds the addon: beside this package when it was built here, else in the package of this platform.

const { existsSync } = require('node:fs')
const path = require('node:path')

/** glibc or musl, on Linux. */
function libc() {
  return process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
}

/** Name of this platform, as in `pure-sound-linux-x64-gnu`. */
function platform() {
  const base = `${process.platform}-${process.arch}`
  if (process.platform === 'linux') return `${base}-${libc()}`
  return process.platform === 'win32' ? `${base}-msvc` : base
}

function load() {
  const name = platform()
  const local = path.join(__dirname, '..', `pure-sound.${name}.node`)
  if (existsSync(local)) return require(local)
  try {
    return require(`pure-sound-${name}`)
  } catch (cause) {
    throw new Error(
      `pure-sound has no addon for ${name}: install the package pure-sound-${name} (it is an optional dependency; ` +
        'npm leaves it out with --omit=optional), or run `npm run build` in a clone of the project',
      { cause }
    )
  }
}

module.exports = { load, platform }
