"""The operations of Bedrock's two service models that this service does not offer.

Whoever builds one takes its line out; a test says when a line is missing or too many.
"""

from collections.abc import Iterator

# A path with a star for each label, and below it the methods with their operations.
RUNTIME = """
/async-invoke
  GET ListAsyncInvokes
  POST StartAsyncInvoke
/async-invoke/*
  GET GetAsyncInvoke
/guardrail-checks/invoke
  POST InvokeGuardrailChecks
/model/*/invoke-with-bidirectional-stream
  POST InvokeModelWithBidirectionalStream
"""
CONTROL_PLANE = """
/advanced-prompt-optimization-job/batch-delete
  POST BatchDeleteAdvancedPromptOptimizationJob
/advanced-prompt-optimization-jobs
  GET ListAdvancedPromptOptimizationJobs
  POST CreateAdvancedPromptOptimizationJob
/advanced-prompt-optimization-jobs/*
  GET GetAdvancedPromptOptimizationJob
/advanced-prompt-optimization-jobs/*/stop
  POST StopAdvancedPromptOptimizationJob
/automated-reasoning-policies
  GET ListAutomatedReasoningPolicies
  POST CreateAutomatedReasoningPolicy
/automated-reasoning-policies/*
  DELETE DeleteAutomatedReasoningPolicy
  GET GetAutomatedReasoningPolicy
  PATCH UpdateAutomatedReasoningPolicy
/automated-reasoning-policies/*/build-workflows
  GET ListAutomatedReasoningPolicyBuildWorkflows
/automated-reasoning-policies/*/build-workflows/*
  DELETE DeleteAutomatedReasoningPolicyBuildWorkflow
  GET GetAutomatedReasoningPolicyBuildWorkflow
/automated-reasoning-policies/*/build-workflows/*/annotations
  GET GetAutomatedReasoningPolicyAnnotations
  PATCH UpdateAutomatedReasoningPolicyAnnotations
/automated-reasoning-policies/*/build-workflows/*/cancel
  POST CancelAutomatedReasoningPolicyBuildWorkflow
/automated-reasoning-policies/*/build-workflows/*/result-assets
  GET GetAutomatedReasoningPolicyBuildWorkflowResultAssets
/automated-reasoning-policies/*/build-workflows/*/scenarios
  GET GetAutomatedReasoningPolicyNextScenario
/automated-reasoning-policies/*/build-workflows/*/start
  POST StartAutomatedReasoningPolicyBuildWorkflow
/automated-reasoning-policies/*/build-workflows/*/test-cases/*/test-results
  GET GetAutomatedReasoningPolicyTestResult
/automated-reasoning-policies/*/build-workflows/*/test-results
  GET ListAutomatedReasoningPolicyTestResults
/automated-reasoning-policies/*/build-workflows/*/test-workflows
  POST StartAutomatedReasoningPolicyTestWorkflow
/automated-reasoning-policies/*/export
  GET ExportAutomatedReasoningPolicyVersion
/automated-reasoning-policies/*/test-cases
  GET ListAutomatedReasoningPolicyTestCases
  POST CreateAutomatedReasoningPolicyTestCase
/automated-reasoning-policies/*/test-cases/*
  DELETE DeleteAutomatedReasoningPolicyTestCase
  GET GetAutomatedReasoningPolicyTestCase
  PATCH UpdateAutomatedReasoningPolicyTestCase
/automated-reasoning-policies/*/versions
  POST CreateAutomatedReasoningPolicyVersion
/create-foundation-model-agreement
  POST CreateFoundationModelAgreement
/custom-models
  GET ListCustomModels
/custom-models/*
  DELETE DeleteCustomModel
  GET GetCustomModel
/custom-models/create-custom-model
  POST CreateCustomModel
/data-retention
  GET GetAccountDataRetention
  PUT PutAccountDataRetention
/delete-foundation-model-agreement
  POST DeleteFoundationModelAgreement
/enforcedGuardrailsConfiguration
  GET ListEnforcedGuardrailsConfiguration
  PUT PutEnforcedGuardrailConfiguration
/enforcedGuardrailsConfiguration/*
  DELETE DeleteEnforcedGuardrailConfiguration
/evaluation-job/*/stop
  POST StopEvaluationJob
/evaluation-jobs
  GET ListEvaluationJobs
  POST CreateEvaluationJob
/evaluation-jobs/*
  GET GetEvaluationJob
/evaluation-jobs/batch-delete
  POST BatchDeleteEvaluationJob
/guardrails
  GET ListGuardrails
  POST CreateGuardrail
/guardrails/*
  DELETE DeleteGuardrail
  GET GetGuardrail
  POST CreateGuardrailVersion
  PUT UpdateGuardrail
/imported-models/*
  DELETE DeleteImportedModel
/list-foundation-model-agreement-offers/*
  GET ListFoundationModelAgreementOffers
/marketplace-model/endpoints
  GET ListMarketplaceModelEndpoints
  POST CreateMarketplaceModelEndpoint
/marketplace-model/endpoints/*
  DELETE DeleteMarketplaceModelEndpoint
  GET GetMarketplaceModelEndpoint
  PATCH UpdateMarketplaceModelEndpoint
/marketplace-model/endpoints/*/registration
  DELETE DeregisterMarketplaceModelEndpoint
  POST RegisterMarketplaceModelEndpoint
/model-copy-jobs
  GET ListModelCopyJobs
  POST CreateModelCopyJob
/model-copy-jobs/*
  GET GetModelCopyJob
/model-customization-jobs
  GET ListModelCustomizationJobs
  POST CreateModelCustomizationJob
/model-customization-jobs/*
  GET GetModelCustomizationJob
/model-customization-jobs/*/stop
  POST StopModelCustomizationJob
/model-customization/custom-model-deployments
  POST CreateCustomModelDeployment
/model-customization/custom-model-deployments/*
  DELETE DeleteCustomModelDeployment
  PATCH UpdateCustomModelDeployment
/model-import-jobs
  GET ListModelImportJobs
  POST CreateModelImportJob
/model-import-jobs/*
  GET GetModelImportJob
/model-invocation-job
  POST CreateModelInvocationJob
/model-invocation-job/*
  GET GetModelInvocationJob
/model-invocation-job/*/stop
  POST StopModelInvocationJob
/model-invocation-jobs
  GET ListModelInvocationJobs
/projects
  GET ListProjects
  POST CreateProject
/projects/*
  GET GetProject
  POST UpdateProject
/projects/*/archive
  POST ArchiveProject
/prompt-routers
  GET ListPromptRouters
  POST CreatePromptRouter
/prompt-routers/*
  DELETE DeletePromptRouter
  GET GetPromptRouter
/provisioned-model-throughput
  POST CreateProvisionedModelThroughput
/provisioned-model-throughput/*
  DELETE DeleteProvisionedModelThroughput
  PATCH UpdateProvisionedModelThroughput
/resource-policy
  POST PutResourcePolicy
/resource-policy/*
  DELETE DeleteResourcePolicy
  GET GetResourcePolicy
/trusted-access-programs
  GET ListTrustedAccessPrograms
/trusted-access-programs/*
  GET GetTrustedAccessProgram
/trusted-access-programs/*/account-application
  POST StartTrustedAccessProgramAccountApplication
/trusted-access-programs/*/account-enrollment
  GET GetTrustedAccessProgramAccountEnrollment
  PUT PutTrustedAccessProgramAccountEnrollment
/trusted-access-programs/*/organization-application
  POST StartTrustedAccessProgramOrganizationApplication
/trusted-access-programs/*/organization-enrollment
  GET GetTrustedAccessProgramOrganizationEnrollment
  PUT PutTrustedAccessProgramOrganizationEnrollment
/trusted-access-programs/*/project-application/*
  POST StartTrustedAccessProgramProjectApplication
/trusted-access-programs/*/project-enrollment/*
  GET GetTrustedAccessProgramProjectEnrollment
  PUT PutTrustedAccessProgramProjectEnrollment
/use-case-for-model-access
  GET GetUseCaseForModelAccess
  POST PutUseCaseForModelAccess
/v1/data_retention/organization-storage/*
  DELETE DeleteOrganizationDataRetentionStorage
  GET GetOrganizationDataRetentionStorage
  PUT PutOrganizationDataRetentionStorage
/v1/data_retention/storage/*
  DELETE DeleteAccountDataRetentionStorage
  GET GetAccountDataRetentionStorage
  PUT PutAccountDataRetentionStorage
/v1/projects/*/data_retention/storage/*
  DELETE DeleteProjectDataRetentionStorage
  GET GetProjectDataRetentionStorage
  PUT PutProjectDataRetentionStorage
"""


def read_table(table: str) -> Iterator[tuple[str, str, str]]:
    """Operation, method and path of each line."""
    path = ""
    for line in table.strip().splitlines():
        if line.startswith("/"):
            path = line
        else:
            method, name = line.split()
            yield name, method, path
