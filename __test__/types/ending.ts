// The calls that end an execution, or send it a signal.
import type { ExecutionEngine } from '../../index.js';

import { assertType, type Equal } from './equal.js';

declare const engine: ExecutionEngine;
const id = 'an id';

const cancelled = engine.cancel(id);
assertType<Equal<typeof cancelled, Promise<void>>>();
void engine.cancel(id, null);
void engine.cancel(id, {});
void engine.cancel(id, { graceMs: 0 });
void engine.cancel(id, { graceMs: null });
// @ts-expect-error a number
void engine.cancel(id, { graceMs: '5' });
// @ts-expect-error the grace period is in an object
void engine.cancel(id, 5);
// @ts-expect-error there is no such field
void engine.cancel(id, { killGraceMs: 5 });

const count = engine.cancelAll({ graceMs: 5 });
assertType<Equal<typeof count, Promise<number>>>();
void engine.cancelAll();
void engine.cancelAll(null);
// @ts-expect-error it ends all of them
void engine.cancelAll(id);

const sent = engine.signal(id, 'SIGUSR1');
assertType<Equal<typeof sent, Promise<boolean>>>();
// @ts-expect-error a name is needed
void engine.signal(id);
// @ts-expect-error names are written in full
void engine.signal(id, 'USR1');
// @ts-expect-error a number is not a name
void engine.signal(id, 10);
