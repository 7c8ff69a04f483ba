// Read requests, and the policies that they name, as a line of JSON from stdin. Print iam-simulate's
// decisions as a line: each result, what it could not evaluate, and the condition keys that it left
// out because AWS's reference does not list them with the action and the resource. Go on to the end.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const decide = async (policies, { principal, action, resource, account, context, identity,
  resourcePolicy, boundaries, endpoints }) => {
  const named = (names) => names.map((name) => ({ name, policy: policies[name] }))
  const done = await runSimulation({
    request: { principal, action, resource: { resource, accountId: account },
      contextVariables: context },
    identityPolicies: named(identity),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(resourcePolicy && { resourcePolicy: policies[resourcePolicy] }),
    ...(boundaries.length && { permissionBoundaryPolicies: named(boundaries) }),
    ...(endpoints.length && { vpcEndpointPolicies: named(endpoints) })
  }, { simulationMode: 'Strict' })
  return {
    result: done.overallResult ?? null,
    errors: done.errors ?? null,
    ignored: done.result?.ignoredContextKeys ?? []
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { policies, requests } = JSON.parse(line)
  console.log(JSON.stringify(await Promise.all(requests.map((each) => decide(policies, each)))))
}
