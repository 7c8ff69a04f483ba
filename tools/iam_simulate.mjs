// Read requests, and the policies that they name, as JSON from stdin. Print iam-simulate's decision
// on each: its result, what it could not evaluate, and the condition keys that it left out because
// AWS's reference does not list them with the action and the resource.
import { text } from 'node:stream/consumers'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const { policies, requests } = JSON.parse(await text(process.stdin))
const named = (names) => names.map((name) => ({ name, policy: policies[name] }))

const decide = async ({ principal, action, resource, account, context, identity, resourcePolicy,
  boundaries, endpoints }) => {
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

console.log(JSON.stringify(await Promise.all(requests.map(decide))))
