import { largeHostRow } from '../workloads/short-commands.mjs';

export default largeHostRow({
  name: 'short-commands-host-4g',
  title: '4 GiB',
  hostMiB: 4096,
  forked: 30,
});
