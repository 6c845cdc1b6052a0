import type { Mode } from '../../sinks/sink.js';
import { log } from './log.js';
import type { ModeRules } from './mode.js';
import { report } from './report.js';
import { state } from './state.js';

export const modes: Record<Mode, ModeRules> = { log, state, report };
