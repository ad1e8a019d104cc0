// One simulation per line of stdin, one answer per line of stdout: {"result": "Allowed"} or {"error": ...}.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await runSimulation(JSON.parse(line), { simulationMode: 'Strict' })
  const seen =
    answer.resultType === 'error'
      ? { error: answer.errors }
      : { result: answer.overallResult, ignored: answer.result?.ignoredContextKeys ?? [] }
  process.stdout.write(JSON.stringify(seen) + '\n')
}
