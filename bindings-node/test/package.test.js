'use strict'

// Packs the package and installs it into a fresh project, following README.md only.

const assert = require('node:assert/strict')
const { execFileSync, execSync } = require('node:child_process')
const { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const test = require('node:test')
const { media, root, temporary } = require('./helpers.js')

test('the tarballs install into a fresh project, and its README works there', () => {
  const readme = readFileSync(path.join(root, 'bindings-node', 'README.md'), 'utf8')
  assert.match(readme, /node bindings-node\/scripts\/pack\.js \/tmp\/packages\n {4}npm install \/tmp\/packages\/\*\.tgz/)
  const folder = temporary()
  const packages = path.join(folder, 'packages')
  execFileSync(process.execPath, [path.join(root, 'bindings-node', 'scripts', 'pack.js'), packages], { encoding: 'utf8' })
  assert.equal(readdirSync(packages).length, 2)

  const project = path.join(folder, 'project')
  mkdirSync(project)
  writeFileSync(path.join(project, 'package.json'), '{ "name": "fresh", "version": "1.0.0", "private": true }')
  // Offline: nothing but the two files is needed.
  execSync(`npm install --no-audit --no-fund --offline ${packages}/*.tgz`, { cwd: project, stdio: 'pipe' })
  const installed = path.join(project, 'node_modules', 'pure-sound')
  const files = readdirSync(installed, { recursive: true })
  assert(!files.some((file) => /\.(rs|node|toml)$/.test(file)), 'sources or an addon in the main package')
  assert(files.includes('LICENSE-MIT') && files.includes(path.join('lib', 'types.d.ts')))

  copyFileSync(media('speech.flac'), path.join(project, 'talk.flac'))
  const [, example] = readme.match(/```js\n([\s\S]*?)```/)
  writeFileSync(path.join(project, 'example.mjs'), example)
  const loudness = Number(execFileSync(process.execPath, ['example.mjs'], { cwd: project, encoding: 'utf8' }))
  assert(Math.abs(loudness + 16) <= 0.5, String(loudness))
  const common = "const { process: convert } = require('pure-sound'); convert('talk.flac', 'b.opus').then((r) => console.log(r.outputs.length))"
  assert.equal(execFileSync(process.execPath, ['-e', common], { cwd: project, encoding: 'utf8' }), '1\n')

  // Types resolve from the installed package, in both forms.
  const tsc = path.join(root, 'bindings-node', 'node_modules', 'typescript', 'bin', 'tsc')
  writeFileSync(path.join(project, 'use.mts'), "import { probe } from 'pure-sound'\nconst rate: number = (await probe('a.wav')).stream.spec.rate_hz\nvoid rate\n")
  writeFileSync(path.join(project, 'use.cts'), "import ps = require('pure-sound')\nconst version: string = ps.version()\nvoid version\n")
  const types = path.join(root, 'bindings-node', 'node_modules', '@types')
  const options = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'node16', '--typeRoots', types, '--types', 'node']
  execFileSync(process.execPath, [tsc, ...options, 'use.mts', 'use.cts'], { cwd: project, stdio: 'inherit' })
})

test('a missing addon is told with what to do', () => {
  const folder = temporary()
  mkdirSync(path.join(folder, 'lib'))
  copyFileSync(path.join(root, 'bindings-node', 'lib', 'native.js'), path.join(folder, 'lib', 'native.js'))
  const code = `try { require(${JSON.stringify(path.join(folder, 'lib', 'native.js'))}).load() } catch (e) { console.log(e.message) }`
  assert.match(execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' }), /no addon for .*: install the package pure-sound-/)
})
