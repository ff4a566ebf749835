import { largeHostRow } from '../workloads/short-commands.mjs';

export default largeHostRow({
  name: 'short-commands-host-512m',
  title: '0.5 GiB',
  hostMiB: 512,
  forked: 200,
});
