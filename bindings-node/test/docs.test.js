'use strict'

// Runs every example of docs/node.md and README.md as it stands, in a folder with a recording.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const test = require('node:test')
const { media, root, temporary } = require('./helpers.js')

for (const page of ['docs/node.md', 'bindings-node/README.md']) {
  const text = readFileSync(path.join(root, page), 'utf8')
  const examples = [...text.matchAll(/^(#+ .*|```js\n([\s\S]*?)```)$/gm)]
  let heading = ''
  for (const [whole, , code] of examples) {
    if (code === undefined) {
      heading = whole
      continue
    }
    test(`${page} ${heading}`, () => {
      const folder = temporary()
      mkdirSync(path.join(folder, 'node_modules'))
      symlinkSync(path.join(__dirname, '..'), path.join(folder, 'node_modules', 'pure-sound'), 'dir')
      copyFileSync(media('speech.flac'), path.join(folder, 'talk.flac'))
      writeFileSync(path.join(folder, 'example.mjs'), code)
      const { status, stderr } = spawnSync(process.execPath, ['example.mjs'], { cwd: folder, encoding: 'utf8', timeout: 120_000 })
      assert.equal(status, 0, stderr)
    })
  }
}
