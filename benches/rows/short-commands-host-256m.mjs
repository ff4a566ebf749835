import { largeHostRow } from '../workloads/short-commands.mjs';

export default largeHostRow({
  name: 'short-commands-host-256m',
  title: '256 MiB',
  hostMiB: 256,
  forked: 300,
  goal: '≥ 10',
});
