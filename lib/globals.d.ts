/** What `scripts/bundle.mjs` puts in its place: the version of the package. */
declare const ESCHER_VERSION: string | undefined;

/** The packages of the platforms. Each is an addon. */
declare module '@escher/execution-engine-*' {
  const addon: typeof import('../binding.js');
  export = addon;
}
