/** Exactly the same type, readonly and optional included. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Does not compile unless `T` is true. */
export declare function assertType<T extends true>(): T;
