export * from './index.js'
import * as pureSound from './index.js'
export default pureSound
