import { readFileSync } from 'node:fs';

/** What Linux counts CPU time in: USER_HZ, the same on every machine. ticks a second */
const TICKS = 100;

/** CPU time that this machine has worked since it was started, all cores and the kernel together. ms */
export function machineCpuMs(): number {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  // user nice system idle iowait irq softirq; time stolen by other machines is not ours to count
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = first.split(/\s+/).slice(1).map(Number);
  return ((user + nice + system + irq + softirq) * 1000) / TICKS;
}
