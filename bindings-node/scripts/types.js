'use strict'
// Writes lib/types.d.ts: the types of options and records, from the JSON Schemas of the engine.
//
//   node scripts/types.js [--check]
//
// --check: fails when the file is not what it would be. Needs the addon.

const { readFileSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const native = require('../lib/native.js').load()

/** TypeScript name of each schema that is exported. */
const ROOTS = {
  request: 'Request',
  recipe: 'Recipe',
  plan: 'Plan',
  report: 'Report',
  preset: 'Preset',
  filter: 'FilterSpec',
  filter_info: 'FilterInfo',
  format: 'FormatSettings',
  read_options: 'ReadOptions',
  media_info: 'MediaInfo',
  stream_info: 'StreamInfo',
  metadata: 'Metadata',
  loudness: 'Loudness',
  analyse_options: 'AnalyseOptions',
  analysis: 'Analysis',
  classify_options: 'ClassifyOptions',
  content: 'Content',
  check: 'CheckReport',
  recommend_options: 'RecommendOptions',
  recommendation: 'Recommendation',
  compare_options: 'CompareOptions',
  comparison: 'Comparison',
  peak_options: 'PeakOptions',
  peaks: 'Peaks',
  waveform_options: 'WaveformOptions',
  spectrogram_options: 'SpectrogramOptions',
  page_options: 'PageOptions',
  analysis_page: 'AnalysisPage',
  spec: 'Spec',
  resample_quality: 'Quality',
  negotiated: 'Negotiated',
  encoded: 'Encoded',
  submission: 'Submission',
  submitted: 'Submitted',
  job: 'Job',
  job_filter: 'JobFilter',
  job_history_entry: 'HistoryEntry',
  job_batch: 'Batch',
  job_stats: 'Stats',
  work_options: 'WorkOptions',
  progress: 'Progress',
  settings: 'Settings',
  health: 'HealthAnswer',
  usage: 'Usage',
  log_record: 'LogRecord',
}
/**
 * What programs write may leave out what has a default; what they read has it. An answer about health is read, but it leaves out what it
 * does not know.
 */
const WRITTEN = new Set([
  'submission',
  'job_filter',
  'work_options',
  'analyse_options',
  'classify_options',
  'recommend_options',
  'compare_options',
  'peak_options',
  'waveform_options',
  'spectrogram_options',
  'page_options',
  'health',
  'request',
  'recipe',
  'filter',
  'format',
  'read_options',
  'settings',
  'resample_quality',
  'metadata',
])
const WIDTH = 130

/** A doc comment of one or more lines. */
function comment(text, indent) {
  if (!text) return ''
  const clean = text.replace(/\*\//g, '* /').replace(/\s+/g, ' ').trim()
  if (clean.length + indent.length + 8 <= WIDTH) return `${indent}/** ${clean} */\n`
  const lines = []
  for (const word of clean.split(' ')) {
    const last = lines.length - 1
    if (last >= 0 && lines[last].length + word.length + indent.length + 4 <= WIDTH) lines[last] += ` ${word}`
    else lines.push(word)
  }
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join('')}${indent} */\n`
}

function facts(schema) {
  const told = []
  if (schema['x-unit']) told.push(schema['x-unit'])
  const { minimum, maximum } = schema
  if (minimum !== undefined && maximum !== undefined) told.push(`${minimum} to ${maximum}`)
  if (schema.default !== undefined && schema.default !== null && typeof schema.default !== 'object') {
    told.push(`default ${JSON.stringify(schema.default)}`)
  }
  return told.length > 0 ? ` (${told.join(', ')})` : ''
}

const union = (parts) => [...new Set(parts)].join(' | ')
const wrap = (type) => (/ [|&] /.test(type) && !type.startsWith('{') ? `(${type})` : type)
const clean = (name) => name.replace(/[^A-Za-z0-9]/g, '')

/** Definitions by name, as they are read from the engine and as they are written to it. */
const tables = { read: new Map(), written: new Map() }

/** Adds a schema under its name, with all that it refers to. */
function add(form, name, schema) {
  const own = (node) => {
    if (Array.isArray(node)) return node.map(own)
    if (typeof node !== 'object' || node === null) return node
    if (node.$ref === '#') return { $ref: `#/$defs/${name}` }
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, own(value)]))
  }
  const { $defs = {}, ...root } = own(schema)
  tables[form].set(name, root)
  for (const [key, definition] of Object.entries($defs)) {
    if (!tables[form].has(clean(key))) tables[form].set(clean(key), definition)
  }
}

/** How a definition is rendered; `name` gives the names of others. */
class Printer {
  constructor(form, name) {
    this.form = form
    this.name = name
  }

  type(schema, indent = '') {
    if (schema === true || Object.keys(schema).length === 0) return 'unknown'
    if (schema === false) return 'never'
    if (schema.$ref !== undefined) return this.name(clean(schema.$ref.replace('#/$defs/', '')))
    if (schema.const !== undefined) return JSON.stringify(schema.const)
    if (schema.enum !== undefined) return union(schema.enum.map((value) => JSON.stringify(value)))
    const choices = schema.oneOf ?? schema.anyOf
    if (choices !== undefined) {
      const variants = union(choices.map((choice) => wrap(this.type(choice, indent))))
      return schema.properties === undefined ? variants : `${this.object(schema, indent)} & (${variants})`
    }
    if (schema.allOf !== undefined) return schema.allOf.map((part) => wrap(this.type(part, indent))).join(' & ')
    const types = Array.isArray(schema.type) ? schema.type : [schema.type]
    return union(types.map((type) => this.plain(type, schema, indent)))
  }

  plain(type, schema, indent) {
    if (type === 'integer') return 'number'
    if (['string', 'boolean', 'null', 'number'].includes(type)) return type
    if (type === 'object') return this.object(schema, indent)
    if (type !== 'array') return 'unknown'
    if (schema.prefixItems !== undefined) return `[${schema.prefixItems.map((item) => this.type(item, indent)).join(', ')}]`
    return `${wrap(this.type(schema.items ?? true, indent))}[]`
  }

  object(schema, indent) {
    const inner = `${indent}  `
    const required = new Set(schema.required ?? [])
    const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => {
      // A record that the engine writes has all its fields.
      const mark = required.has(name) || this.form === 'read' ? '' : '?'
      const key = /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
      const doc = typeof field === 'object' ? `${field.description ?? ''}${facts(field)}` : ''
      return `${comment(doc, inner)}${inner}${key}${mark}: ${this.type(field, inner)}\n`
    })
    if (fields.length > 0) return `{\n${fields.join('')}${indent}}`
    const more = schema.additionalProperties
    return `Record<string, ${more && more !== true ? this.type(more, indent) : 'unknown'}>`
  }
}

/** Whether a definition is another one when it is written: by its own fields, or by one that it refers to. */
function differs(name, seen = new Set()) {
  const [read, written] = [tables.read.get(name), tables.written.get(name)]
  if (read === undefined || written === undefined || seen.has(name)) return false
  seen.add(name)
  const refers = new Set()
  const plain = (other) => (refers.add(other), other)
  const texts = [new Printer('read', plain).type(read), new Printer('written', plain).type(written)]
  return texts[0] !== texts[1] || [...refers].some((other) => differs(other, seen))
}

/** What a definition is called. Where the two forms differ, the rarer one has a longer name. */
function nameOf(form, name) {
  if (!differs(name)) return name
  const chosen = Object.entries(ROOTS).find(([, root]) => root === name)
  const usual = chosen !== undefined && WRITTEN.has(chosen[0]) ? 'written' : 'read'
  if (form === usual) return name
  return `${name}${form === 'read' ? 'Record' : 'Input'}`
}

function render() {
  const schemas = JSON.parse(native.schema())
  for (const [key, root] of Object.entries(ROOTS)) add(WRITTEN.has(key) ? 'written' : 'read', root, schemas[key])
  const topics = Object.entries(schemas.event).map(([topic, { $defs, ...payload }]) => {
    for (const [key, definition] of Object.entries($defs ?? {})) tables.read.set(clean(key), definition)
    return [topic, payload]
  })
  const blocks = new Map()
  for (const form of ['written', 'read']) {
    const printer = new Printer(form, (name) => nameOf(form, name))
    for (const [name, schema] of tables[form]) {
      const own = nameOf(form, name)
      if (!blocks.has(own)) blocks.set(own, `${comment(schema.description, '')}export type ${own} = ${printer.type(schema)}\n`)
    }
  }
  const printer = new Printer('read', (name) => nameOf('read', name))
  const payloads = topics.map(
    ([topic, schema]) => `${comment(schema.description, '  ')}  ${JSON.stringify(topic)}: ${printer.type(schema, '  ')}\n`
  )
  const codes = JSON.parse(native.errorTable())
  const lines = (values) => [...new Set(values)].map((value) => `\n  | ${JSON.stringify(value)}`).join('')
  return [
    '// Generated by scripts/types.js from the JSON Schemas of the engine. Do not edit.\n',
    ...[...blocks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, block]) => block),
    `/** Payloads of the engine's events, by topic. */\nexport type EventPayloads = {\n${payloads.join('')}}\n`,
    `/** Stable name of an error. */\nexport type ErrorCode =${lines(codes.map(([, name]) => name))}\n`,
    `/** Class of an error. */\nexport type ErrorKind =${lines(codes.map(([, , kind]) => kind))}\n`,
  ].join('\n')
}

const file = path.join(__dirname, '..', 'lib', 'types.d.ts')
const text = render()
if (!process.argv.includes('--check')) {
  writeFileSync(file, text)
} else if (readFileSync(file, 'utf8') !== text) {
  console.error('lib/types.d.ts is not what the schemas say: run `npm run types`')
  process.exit(1)
}
