'use strict'
// Packs the package and that of this platform, as they are published.
//
//   node scripts/pack.js [FOLDER]      default: the folder of the package
//
// Prints the two files: install both with one `npm install`.

const { execFileSync } = require('node:child_process')
const { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { platform } = require('../lib/native.js')
const { PLATFORMS, manifest } = require('./platforms.js')

const root = path.join(__dirname, '..')
const into = path.resolve(process.argv[2] ?? root)
const work = mkdtempSync(path.join(os.tmpdir(), 'pure-sound-pack-'))
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

try {
  const name = platform()
  const [addon, own] = [path.join(work, name), path.join(work, 'main')]
  const licences = ['LICENSE-APACHE', 'LICENSE-MIT']
  mkdirSync(addon)
  const addonManifest = manifest(name, PLATFORMS[name])
  addonManifest.files.push(...licences)
  writeFileSync(path.join(addon, 'package.json'), JSON.stringify(addonManifest, null, 2))
  copyFileSync(path.join(root, `pure-sound.${name}.node`), path.join(addon, `pure-sound.${name}.node`))

  // The published manifest depends on the platforms; that of a clone, where the addon is built, does not.
  const { devDependencies, scripts, ...main } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  main.optionalDependencies = Object.fromEntries(Object.keys(PLATFORMS).map((key) => [`pure-sound-${key}`, main.version]))
  const files = main.files
  main.files = [...files, ...licences]
  mkdirSync(own)
  writeFileSync(path.join(own, 'package.json'), JSON.stringify(main, null, 2))
  for (const file of files) cpSync(path.join(root, file), path.join(own, file), { recursive: true })
  for (const licence of licences) {
    for (const folder of [addon, own]) copyFileSync(path.join(root, '..', licence), path.join(folder, licence))
  }

  mkdirSync(into, { recursive: true })
  for (const folder of [addon, own]) {
    const told = execFileSync(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', into], { cwd: folder, encoding: 'utf8' })
    console.log(path.join(into, JSON.parse(told)[0].filename))
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
