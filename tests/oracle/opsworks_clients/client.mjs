// One call per line of stdin, one answer per line of stdout: {"answer": ...} or {"error": {code, message, status}}.
// The client is made as users make it: endpoint, region and credentials come from the environment.
import { createInterface } from 'node:readline'
import * as sdk from '@aws-sdk/client-opsworkscm'

const client = new sdk.OpsWorksCMClient({})

async function carryOut({ operation, parameters }) {
  if (operation !== 'wait node_associated') return client.send(new sdk[`${operation}Command`](parameters))
  const waiting = { client, maxWaitTime: 225, minDelay: 1, maxDelay: 2 }
  return { state: (await sdk.waitUntilNodeAssociated(waiting, parameters)).state }
}

for await (const line of createInterface({ input: process.stdin })) {
  let said
  try {
    const { $metadata, ...answer } = await carryOut(JSON.parse(line))
    said = { answer }
  } catch (error) {
    said = { error: { code: error.name, message: error.message, status: error.$metadata?.httpStatusCode } }
  }
  process.stdout.write(JSON.stringify(said) + '\n')
}
