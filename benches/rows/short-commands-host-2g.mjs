import { largeHostRow } from '../workloads/short-commands.mjs';

export default largeHostRow({
  name: 'short-commands-host-2g',
  title: '2 GiB',
  hostMiB: 2048,
  forked: 60,
  goal: '≥ 100',
});
