// The number of times that a race is run.

/** The number in `ESCHER_TEST_REPEATS`: 200 in CI's run, 1 000 in `npm run test:stress`. Otherwise few. */
export const REPEATS = Number(process.env.ESCHER_TEST_REPEATS ?? 20);
if (!(REPEATS > 0)) throw new Error(`ESCHER_TEST_REPEATS is no number: ${process.env.ESCHER_TEST_REPEATS}`);

/** Calls `attempt` with 0, 1, … so many times, a few at once. */
export async function repeatedly(times, atOnce, attempt) {
  let next = 0;
  const lane = async () => {
    while (next < times) await attempt(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
