'use strict';

/** Modules that only some hosts use are loaded when they are used: every file costs each host a part of a millisecond. */
module.exports = {
  get feedback() {
    return require('./feedback.js');
  },
  get input() {
    return require('./input.js');
  },
  get openInputs() {
    return require('./open-inputs.js');
  },
  get plan() {
    return require('./plan.js');
  },
  get stream() {
    return require('./stream.js');
  },
  get submitMany() {
    return require('./submit-many.js');
  },
};
