// Made by `npm run web:types` of documents.graphql. Do not edit.
/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
export type Direction =
  | 'DEBIT'
  | 'CREDIT';

export type TransactionFieldsFragment = { id: string, newBalance: number, changedBy: number, fromTo: string, direction: Direction, descr: string, time: string };

export type AccountQueryVariables = Exact<{ [key: string]: never; }>;


export type AccountQuery = { account: { iban: string, token: string, limit: number, balance: number } | null };

export type BalanceChangesSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type BalanceChangesSubscription = { transactions: { id: string, newBalance: number, changedBy: number, fromTo: string, direction: Direction, descr: string, time: string } };

export type TransactionsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type TransactionsQuery = { transactions: { edges: Array<{ node: { id: string, newBalance: number, changedBy: number, fromTo: string, direction: Direction, descr: string, time: string } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } };

export type MatchingTransactionsSubscriptionVariables = Exact<{
  direction?: Direction | null | undefined;
  minAmount?: number | null | undefined;
  maxAmount?: number | null | undefined;
  descrIncludes?: string | null | undefined;
}>;


export type MatchingTransactionsSubscription = { transactions: { id: string, newBalance: number, changedBy: number, fromTo: string, direction: Direction, descr: string, time: string } };

export type OpenAccountMutationVariables = Exact<{
  commandId?: string | number | null | undefined;
}>;


export type OpenAccountMutation = { openAccount: { success: boolean, reason: string | null } };

export type TransferMoneyMutationVariables = Exact<{
  commandId?: string | number | null | undefined;
  token: string;
  amount: number;
  from: string;
  to: string;
  descr: string;
}>;


export type TransferMoneyMutation = { transferMoney: { success: boolean, reason: string | null } };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}
export const TransactionFieldsFragmentDoc = new TypedDocumentString(`
    fragment TransactionFields on Transaction {
  id
  newBalance
  changedBy
  fromTo
  direction
  descr
  time
}
    `, {"fragmentName":"TransactionFields"}) as unknown as TypedDocumentString<TransactionFieldsFragment, unknown>;
export const AccountDocument = new TypedDocumentString(`
    query Account {
  account {
    iban
    token
    limit
    balance
  }
}
    `) as unknown as TypedDocumentString<AccountQuery, AccountQueryVariables>;
export const BalanceChangesDocument = new TypedDocumentString(`
    subscription BalanceChanges {
  transactions {
    ...TransactionFields
  }
}
    fragment TransactionFields on Transaction {
  id
  newBalance
  changedBy
  fromTo
  direction
  descr
  time
}`) as unknown as TypedDocumentString<BalanceChangesSubscription, BalanceChangesSubscriptionVariables>;
export const TransactionsDocument = new TypedDocumentString(`
    query Transactions($first: Int!, $after: String) {
  transactions(first: $first, after: $after) {
    edges {
      node {
        ...TransactionFields
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
    fragment TransactionFields on Transaction {
  id
  newBalance
  changedBy
  fromTo
  direction
  descr
  time
}`) as unknown as TypedDocumentString<TransactionsQuery, TransactionsQueryVariables>;
export const MatchingTransactionsDocument = new TypedDocumentString(`
    subscription MatchingTransactions($direction: Direction, $minAmount: Cents, $maxAmount: Cents, $descrIncludes: String) {
  transactions(
    direction: $direction
    minAmount: $minAmount
    maxAmount: $maxAmount
    descrIncludes: $descrIncludes
  ) {
    ...TransactionFields
  }
}
    fragment TransactionFields on Transaction {
  id
  newBalance
  changedBy
  fromTo
  direction
  descr
  time
}`) as unknown as TypedDocumentString<MatchingTransactionsSubscription, MatchingTransactionsSubscriptionVariables>;
export const OpenAccountDocument = new TypedDocumentString(`
    mutation OpenAccount($commandId: ID) {
  openAccount(commandId: $commandId) {
    success
    reason
  }
}
    `) as unknown as TypedDocumentString<OpenAccountMutation, OpenAccountMutationVariables>;
export const TransferMoneyDocument = new TypedDocumentString(`
    mutation TransferMoney($commandId: ID, $token: String!, $amount: Cents!, $from: String!, $to: String!, $descr: String!) {
  transferMoney(
    commandId: $commandId
    token: $token
    amount: $amount
    from: $from
    to: $to
    descr: $descr
  ) {
    success
    reason
  }
}
    `) as unknown as TypedDocumentString<TransferMoneyMutation, TransferMoneyMutationVariables>;
