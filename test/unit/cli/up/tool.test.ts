import { describe, expect, it } from 'vitest';
import { type ToolOptions, tool, tryTool } from '../../../../src/cli/up/tool.ts';

const options = (change: Partial<ToolOptions> = {}): ToolOptions => ({
  folder: process.cwd(),
  env: { PATH: process.env.PATH },
  signal: new AbortController().signal,
  ...change,
});
const sh = (script: string): readonly string[] => ['/bin/sh', '-c', script];

describe('a program that is run', () => {
  it('gives stdout as its result and each line of stderr as progress', async () => {
    const said: string[] = [];
    const result = await tool(
      sh('echo one >&2; echo; echo "  the result "; echo two >&2'),
      options({ say: (line) => said.push(line) }),
    );
    expect(result).toBe('the result');
    expect(said).toEqual(['one', 'two']);
  });

  it('gets input, folder and environment', async () => {
    const result = await tool(
      sh('cat; pwd; echo $MARK'),
      options({ folder: '/', env: { MARK: 'mark' }, input: 'in\n' }),
    );
    expect(result).toBe('in\n/\nmark');
  });

  it('tells a failure with its last words', async () => {
    const failure = tool(sh('echo "Go is missing." >&2; echo "Run: apt-get install golang" >&2; exit 7'), options());
    await expect(failure).rejects.toThrow(/exit code 7:\n {2}Go is missing\.\n {2}Run: apt-get install golang/);
  });

  it('may fail where that is an answer', async () => {
    expect(await tryTool(sh('echo no >&2; exit 1'), options())).toEqual({ code: 1, result: '', said: ['no'] });
  });

  it('that does not exist is named', async () => {
    await expect(tool(['/nowhere/kind', 'create'], options())).rejects.toThrow('/nowhere/kind could not be run');
  });

  it('is ended when the command is', async () => {
    const stop = new AbortController();
    const running = tool(
      sh('echo started >&2; exec sleep 60'),
      options({ signal: stop.signal, say: () => stop.abort(new Error('stopped')) }),
    );
    await expect(running).rejects.toThrow('stopped');
  });

  it('is not started when the command has ended', async () => {
    await expect(tool(sh('true'), options({ signal: AbortSignal.abort(new Error('stopped')) }))).rejects.toThrow(
      'stopped',
    );
  });
});
