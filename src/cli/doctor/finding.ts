/** The state of one dependency of the service. */
export interface Finding {
  what: string;
  state: 'ok' | 'warning' | 'failure';
  message: string;
  /** What to do; `null` if nothing. */
  advice: string | null;
}

export const ok = (what: string, message: string): Finding => ({ what, state: 'ok', message, advice: null });
export const warning = (what: string, message: string, advice: string): Finding => ({ what, state: 'warning', message, advice });
export const failure = (what: string, message: string, advice: string): Finding => ({ what, state: 'failure', message, advice });
